package app

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/flow"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
)

// ExplainOptions are the options of Explain.
type ExplainOptions struct {
	Config  *config.Source
	Request string   // METHOD URL
	Headers []string // NAME: VALUE
	Token   string   // a file with an access token, or - for standard input; empty: no token
	Claims  string   // a file with the claims of an access token that counts as verified; empty: no claims
}

// Explain decides a request as a gate with the configuration would, and writes the steps of the decision. passes reports whether the
// request would be forwarded.
func Explain(o ExplainOptions, in io.Reader, out, log io.Writer) (passes bool, err error) {
	file, err := o.Config.Load()
	if err != nil {
		return false, err
	}
	errorLog := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
	b := newBuilder(newReloadState(), errorLog)
	defer b.state.close()
	gate, err := b.gate(file)
	if err != nil {
		return false, err
	}
	r, err := o.request(in)
	if err != nil {
		return false, err
	}
	identity, err := o.identity(file)
	if err != nil {
		return false, err
	}
	trace := gate.Trace(r, identity)
	writeTrace(out, o.Request, trace)
	return trace.Passes(), nil
}

// request returns the request as a listener would receive it.
func (o *ExplainOptions) request(in io.Reader) (*http.Request, error) {
	method, address, found := strings.Cut(strings.TrimSpace(o.Request), " ")
	if !found {
		return nil, fmt.Errorf("-request: expected a method and a URL, such as 'GET https://app.example.com/admin', got %q", o.Request)
	}
	r, err := http.NewRequest(method, strings.TrimSpace(address), nil)
	if err != nil || r.URL.Host == "" {
		return nil, fmt.Errorf("-request: expected an absolute URL, such as https://app.example.com/admin, got %q", address)
	}
	_, rest, _ := strings.Cut(address, "://")
	slash := strings.IndexByte(rest, '/')
	if r.RequestURI = "/"; slash >= 0 {
		r.RequestURI = strings.TrimSpace(rest[slash:])
	}
	r.RemoteAddr = "127.0.0.1:1"
	if r.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{}
	}
	for _, line := range o.Headers {
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("-header: expected 'Name: value', got %q", line)
		}
		r.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	if o.Token == "" {
		return r, nil
	}
	token, err := readToken(o.Token, in)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r, nil
}

func readToken(name string, in io.Reader) (string, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("-token: %w (- reads it from standard input)", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err == nil && len(bytes.TrimSpace(b)) == 0 {
		err = errors.New("-token: expected an access token, got nothing")
	}
	return string(bytes.TrimSpace(b)), err
}

// identity returns the identity that has the claims, or nil without claims.
func (o *ExplainOptions) identity(file *config.File) (*auth.Identity, error) {
	if o.Claims == "" {
		return nil, nil
	}
	b, err := os.ReadFile(o.Claims)
	if err != nil {
		return nil, fmt.Errorf("-claims: %w", err)
	}
	var claims auth.Claims
	if err := json.Unmarshal(b, &claims); err != nil {
		return nil, fmt.Errorf("-claims: %s: expected a JSON object: %w", o.Claims, err)
	}
	i := &auth.Identity{
		Flow: flow.NameForJWTs(), Issuer: claims.String("iss"), ClientID: claims.String("client_id"), Subject: claims.String("sub"),
		AccessToken: claims, Presented: true,
	}
	if i.Issuer == "" && len(file.Routes) == 1 {
		i.Issuer = oidc.IssuerOf(file.Routes[0].Parts()[0].OIDC.Flow.Client.Issuer)
	}
	return i, nil
}

func writeTrace(out io.Writer, request string, t *proxy.Trace) {
	fmt.Fprintln(out, request)
	for _, s := range t.Steps {
		mark := " "
		if t.Refuses(s) {
			mark = "✗"
		}
		fmt.Fprintf(out, "  %s %-16s %s\n", mark, s.Name, s.Detail)
	}
	fmt.Fprintln(out, t.Result())
}
