// Command goclient is an MCP client of the Go SDK, with the SDK's own OAuth client. Usage: goclient SETTINGS
//
// See client.mjs for SETTINGS (without sdk), the commands and the events. It is a module of its own because Sallyport itself doesn't
// need the SDK.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

type settings struct {
	URL               string `json:"url"`
	RedirectPort      int    `json:"redirectPort"`
	ClientID          string `json:"clientId"`
	ClientMetadataURL string `json:"clientMetadataUrl"`
}

func (s settings) redirectURL() string { return fmt.Sprintf("http://127.0.0.1:%d/cb", s.RedirectPort) }

type object = map[string]any

var printing sync.Mutex

func emit(line object) {
	printing.Lock()
	defer printing.Unlock()
	json.NewEncoder(os.Stdout).Encode(line)
}

func main() {
	var s settings
	if err := json.Unmarshal([]byte(os.Args[1]), &s); err != nil {
		log.Fatal(err)
	}
	d, err := newDriver(s)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		go d.answer(bytes.Clone(lines.Bytes()))
	}
}

// A driver runs the commands.
type driver struct {
	settings settings
	handler  *auth.AuthorizationCodeHandler
	http     *http.Client
	session  *mcp.ClientSession
}

func newDriver(s settings) (*driver, error) {
	responses, err := receive(s)
	if err != nil {
		return nil, err
	}
	d := &driver{settings: s, http: &http.Client{Transport: observer{s.URL}}}
	config := &auth.AuthorizationCodeHandlerConfig{
		RedirectURL:         s.redirectURL(),
		RequestRefreshToken: true,
		Client:              d.http,
		NewTokenSource:      newTokenSource,
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			emit(object{"event": "authorize", "url": args.URL})
			select {
			case r := <-responses:
				return r, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
	switch {
	case s.ClientID != "":
		config.PreregisteredClient = &oauthex.ClientCredentials{ClientID: s.ClientID}
	case s.ClientMetadataURL != "":
		config.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: s.ClientMetadataURL}
	default:
		config.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName:              "The test client of the Go SDK",
			RedirectURIs:            []string{s.redirectURL()},
			GrantTypes:              []string{"authorization_code", "refresh_token"},
			ResponseTypes:           []string{"code"},
			TokenEndpointAuthMethod: "none",
		}}
	}
	d.handler, err = auth.NewAuthorizationCodeHandler(config)
	return d, err
}

// receive returns the authorization responses that arrive at the redirect URI.
func receive(s settings) (chan *auth.AuthorizationResult, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.RedirectPort))
	if err != nil {
		return nil, err
	}
	responses := make(chan *auth.AuthorizationResult, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/cb", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		responses <- &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}
	})
	go http.Serve(l, mux)
	return responses, nil
}

// An observer prints the OAuth requests; those of MCP go to url.
type observer struct{ url string }

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	var form any
	if r.URL.String() != o.url && r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		r.Body, form = io.NopCloser(bytes.NewReader(body)), string(body)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.URL.String() != o.url {
		emit(object{"event": "request", "method": r.Method, "url": r.URL.String(), "status": res.StatusCode, "form": form})
	}
	return res, err
}

// A tokenPrinter prints each new token of the SDK's token source.
type tokenPrinter struct {
	oauth2.TokenSource
	mu   sync.Mutex
	last string
}

func newTokenSource(ctx context.Context, c *oauth2.Config, t *oauth2.Token) (oauth2.TokenSource, error) {
	return &tokenPrinter{TokenSource: c.TokenSource(ctx, t)}, nil
}

func (p *tokenPrinter) Token() (*oauth2.Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, err := p.TokenSource.Token()
	if err == nil && t.AccessToken != p.last {
		p.last = t.AccessToken
		scope, _ := t.Extra("scope").(string)
		emit(object{"event": "tokens", "tokens": object{"access_token": t.AccessToken, "refresh_token": t.RefreshToken,
			"token_type": t.TokenType, "expires_in": t.ExpiresIn, "scope": scope}})
	}
	return t, err
}

type command struct {
	ID        int    `json:"id"`
	Do        string `json:"do"`
	Tool      string `json:"tool"`
	Arguments object `json:"arguments"`
}

func (d *driver) answer(line []byte) {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	result, err := d.run(ctx, c)
	if err != nil {
		emit(object{"id": c.ID, "error": err.Error()})
		return
	}
	emit(object{"id": c.ID, "result": result})
}

func (d *driver) run(ctx context.Context, c command) (any, error) {
	switch c.Do {
	case "connect":
		return d.connect(ctx)
	case "tools":
		return d.tools(ctx)
	case "call":
		return d.call(ctx, c)
	case "end":
		return nil, d.session.Close()
	}
	return nil, errors.New("unknown command: " + c.Do)
}

func (d *driver) connect(ctx context.Context) (any, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "sallyport-test-client", Version: "1.0.0"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			emit(object{"event": "progress", "progress": r.Params.Progress})
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { emit(object{"event": "list_changed"}) },
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: d.settings.URL, HTTPClient: d.http, OAuthHandler: d.handler}, nil)
	if err != nil {
		return nil, err
	}
	d.session = session
	return object{"protocol": session.InitializeResult().ProtocolVersion}, nil
}

func (d *driver) tools(ctx context.Context) (any, error) {
	list, err := d.session.ListTools(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names, nil
}

func (d *driver) call(ctx context.Context, c command) (any, error) {
	if c.Arguments == nil {
		c.Arguments = object{} // not null, which servers refuse
	}
	params := &mcp.CallToolParams{Name: c.Tool, Arguments: c.Arguments}
	if c.Tool == "progress" {
		params.SetProgressToken("progress")
	}
	res, err := d.session.CallTool(ctx, params)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, part := range res.Content {
		if t, ok := part.(*mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	if res.IsError {
		return nil, errors.New(text.String())
	}
	return text.String(), nil
}
