package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// A cell is one way through the gate and what it may cost.
type cell struct {
	name  string
	about string
	goal  float64 // CPU time per request over the bare proxy's; 0 is none
	proxy func(*rig) *process
	want  answer

	// requests makes what the proxy is sent, in turn; once for each pass over the table.
	requests func(*rig, *process) ([][]byte, error)
}

// cells is the table that is measured. The first line says how much of the others' range is the machine's noise.
var cells = []cell{
	{"bare", "a second bare proxy", 0, (*rig).secondBare, passed, plain("/")},
	{"off", "auth: off", 1.15, (*rig).theGate, passed, plain("/off")},
	{"bearer", "bearer, one token", 1.5, (*rig).theGate, passed, bearer(1)},
	{"session-redis", "session in Redis", 2.8, (*rig).theGate, passed, session},
	{"refused", "no credential: 401", 0.4, (*rig).theGate, answer{http.StatusUnauthorized, anySize}, plain("/")},
}

// passed is the upstream's answer.
var passed = answer{http.StatusOK, answerSize}

// selectCells returns the cells with these names, separated by commas, or all for none.
func selectCells(names string) ([]cell, error) {
	if names == "" {
		return cells, nil
	}
	var selected []cell
	for name := range strings.SplitSeq(names, ",") {
		c, err := cellNamed(name)
		if err != nil {
			return nil, err
		}
		selected = append(selected, c)
	}
	return selected, nil
}

func cellNamed(name string) (cell, error) {
	for _, c := range cells {
		if c.name == name {
			return c, nil
		}
	}
	return cell{}, fmt.Errorf("there is no cell %q; there are %s", name, names(cells))
}

func names(all []cell) string {
	var list []string
	for _, c := range all {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

// get is a GET as it goes over the wire. Its Accept is a program's, for which no login begins.
func get(p *process, path string, header ...string) []byte {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + p.address, "User-Agent: bench", "Accept: application/json"}, header...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// plain sends no credential.
func plain(path string) func(*rig, *process) ([][]byte, error) {
	return func(_ *rig, p *process) ([][]byte, error) { return [][]byte{get(p, path)}, nil }
}

// bearer sends n access tokens in turn.
func bearer(n int) func(*rig, *process) ([][]byte, error) {
	return func(r *rig, p *process) ([][]byte, error) {
		var requests [][]byte
		for i := range n {
			token := r.issuer.AccessToken(username, clientID, map[string]any{"jti": strconv.Itoa(i)})
			requests = append(requests, get(p, "/", "Authorization: Bearer "+token))
		}
		return requests, nil
	}
}

// session sends the cookie of a person who has logged in.
func session(r *rig, p *process) ([][]byte, error) {
	cookie, err := r.login(p)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return [][]byte{get(p, "/", "Cookie: "+cookie)}, nil
}
