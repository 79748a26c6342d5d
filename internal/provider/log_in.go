package provider

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// LogIn acts as a browser: it opens address, which is an authorization request or a page that redirects to one, submits the
// login form if the provider shows it, submits the form of a form_post response, and returns the last response. browser
// needs a cookie jar and must follow redirects to the provider.
func (p *Provider) LogIn(browser *http.Client, address, username, password string) (*http.Response, error) {
	page, err := open(browser, http.MethodGet, address, "")
	if err != nil {
		return nil, err
	}
	if p.servedBy(page, Authorization) {
		body, err := readPage(page)
		if err != nil {
			return nil, err
		}
		if _, _, isFormPost := readFormPost(body); !isFormPost { // with a session the provider shows no login form
			form := url.Values{"username": {username}, "password": {password}}
			page, err = open(browser, http.MethodPost, p.Address(Login)+"?"+page.Request.URL.RawQuery, form.Encode())
			if err != nil {
				return nil, err
			}
		}
	}
	if !p.servedBy(page, Authorization) && !p.servedBy(page, Login) {
		return page, nil // redirected, or an error page
	}
	return sendFormPost(browser, page)
}

// servedBy reports whether page is a successful response of the provider's endpoint e.
func (p *Provider) servedBy(page *http.Response, e Endpoint) bool {
	return page.StatusCode == http.StatusOK && strings.HasPrefix(page.Request.URL.String(), p.Address(e)+"?")
}

// readPage returns the body of page and resets page.Body, so that the caller can read it again.
func readPage(page *http.Response) (string, error) {
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	page.Body = io.NopCloser(bytes.NewReader(body))
	return string(body), err
}

// sendFormPost submits the form of a form_post response and returns the client's response. It returns any other page
// unchanged.
func sendFormPost(browser *http.Client, page *http.Response) (*http.Response, error) {
	body, err := readPage(page)
	if err != nil {
		return nil, err
	}
	action, form, found := readFormPost(body)
	if !found {
		return page, nil
	}
	return open(browser, http.MethodPost, action, form.Encode(),
		"Origin", "null", "Sec-Fetch-Site", "cross-site") // null: the page's Referrer-Policy hides the origin from other sites
}

// open sends a browser's navigation request. header holds the names and values of additional header fields, in turn.
func open(browser *http.Client, method, address, form string, header ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return browser.Do(r)
}
