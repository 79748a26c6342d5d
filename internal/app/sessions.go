package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"sallyport/internal/config"
)

// ListSessions prints the sessions of the running gate that a query of its admin API selects, as a table, or as lines of JSON. It finds the
// admin listener and its token in the configuration file.
func ListSessions(ctx context.Context, file string, query url.Values, asJSON bool, out io.Writer) error {
	c, err := newAdminClient(file)
	if err != nil {
		return err
	}
	defer c.http.CloseIdleConnections()
	show := sessionTable(out)
	if asJSON {
		show = sessionLines(out)
	}
	query.Set("limit", strconv.Itoa(maxSessions))
	for {
		var page struct {
			Sessions []sessionRecord `json:"sessions"`
			Next     string          `json:"next"`
		}
		if err := c.do(ctx, http.MethodGet, "/sessions", query, &page); err != nil {
			return err
		}
		if err := show(page.Sessions, page.Next == ""); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		query.Set("page", page.Next)
	}
}

// EndSessions ends the sessions that a query selects, as ListSessions finds them, and prints their number.
func EndSessions(ctx context.Context, file string, query url.Values, out io.Writer) error {
	c, err := newAdminClient(file)
	if err != nil {
		return err
	}
	defer c.http.CloseIdleConnections()
	var answer struct {
		Ended int `json:"ended"`
	}
	if err := c.do(ctx, http.MethodDelete, "/sessions", query, &answer); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d ended\n", answer.Ended)
	return err
}

// An adminClient sends requests to the admin API of a gate on this machine.
type adminClient struct {
	url   string
	token string // "" without admin.token
	http  *http.Client
}

func newAdminClient(file string) (*adminClient, error) {
	address, err := adminURL(file)
	if err != nil {
		return nil, err
	}
	token, err := config.AdminToken(file)
	if err != nil {
		return nil, err
	}
	return &adminClient{address, string(token), &http.Client{
		Transport:     &http.Transport{}, // no proxy of the environment
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// maxAdminAnswer is the longest answer of the admin API that is read.
const maxAdminAnswer = 64 << 20

// do sends a request and decodes the JSON of its answer.
func (c *adminClient) do(ctx context.Context, method, path string, query url.Values, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the URL, which has the query
		}
		return fmt.Errorf("nothing answers at admin.listen: %w", err)
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAdminAnswer)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 4<<10))
		return fmt.Errorf("%s %s: %s", path, response.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("%s: the answer can't be read: %w", path, err)
	}
	return nil
}

// sessionLines returns a function that prints a page of sessions as lines of JSON.
func sessionLines(out io.Writer) func([]sessionRecord, bool) error {
	e := json.NewEncoder(out)
	return func(page []sessionRecord, _ bool) error {
		for _, s := range page {
			if err := e.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
}

// sessionTable returns a function that prints a page of sessions as a part of a table, and after the last one what the table can't show.
func sessionTable(out io.Writer) func(page []sessionRecord, last bool) error {
	inMemory := false
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SUB\tSID\tISS\tCLIENT_ID\tROUTE\tADDRESS\tSINCE\tLAST_USED\tSTORAGE")
	return func(page []sessionRecord, last bool) error {
		for _, s := range page {
			inMemory = inMemory || s.Storage == "memory"
			address := ""
			if s.Address.IsValid() {
				address = s.Address.String()
			}
			cells := []string{s.Subject, s.SID, s.Issuer, s.ClientID, s.Route, address,
				s.Since.Format(time.RFC3339), s.LastUsed.Format(time.RFC3339), s.Storage}
			for n := range cells {
				cells[n] = cell(cells[n])
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		if last && inMemory {
			fmt.Fprintln(w, "\nSessions in memory are those of this process alone.")
		}
		return w.Flush()
	}
}

// cell returns a text as it is shown in a table. An issuer chose it, and a terminal obeys control characters, so those are quoted.
func cell(text string) string {
	switch {
	case text == "":
		return "-"
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return strconv.QuoteToGraphic(text)
	}
	return text
}
