package provider

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// LogIn goes where a browser would: it opens address, which may be this provider's or a page that leads to it, fills in
// the login form if it meets one, sends a form_post answer on, and returns what comes of it. The browser needs a cookie jar
// and has to follow redirects, at least as far as the form.
func (p *Provider) LogIn(browser *http.Client, address, username, password string) (*http.Response, error) {
	page, err := open(browser, http.MethodGet, address, "")
	if err != nil {
		return nil, err
	}
	if p.shows(page, Authorization) {
		body, err := readPage(page)
		if err != nil {
			return nil, err
		}
		if _, _, sent := readFormPost(body); !sent { // it may be: who is logged in meets no login form
			form := url.Values{"username": {username}, "password": {password}}
			page, err = open(browser, http.MethodPost, p.Issuer()+string(Login)+"?"+page.Request.URL.RawQuery, form.Encode())
			if err != nil {
				return nil, err
			}
		}
	}
	if !p.shows(page, Authorization) && !p.shows(page, Login) {
		return page, nil // sent on, or refused
	}
	return sendFormPost(browser, page)
}

// shows reports whether a page is what one of the provider's endpoints answered.
func (p *Provider) shows(page *http.Response, e Endpoint) bool {
	return page.StatusCode == http.StatusOK && strings.HasPrefix(page.Request.URL.String(), p.Issuer()+string(e)+"?")
}

// readPage reads a page and leaves it readable.
func readPage(page *http.Response) (string, error) {
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	page.Body = io.NopCloser(bytes.NewReader(body))
	return string(body), err
}

// sendFormPost sends on the form of a form_post answer; any other page is returned as it is.
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
		"Origin", "null", "Sec-Fetch-Site", "cross-site") // null: our pages' Referrer-Policy hides the origin from other sites
}

// open asks as a person's browser does for a page; header holds more names and values.
func open(browser *http.Client, method, address, form string, header ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		return nil, fmt.Errorf("the address %q: %w", address, err)
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
