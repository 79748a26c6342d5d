package check

import (
	"fmt"
	"strings"

	"sallyport/internal/auth"
)

// A SentHeader is a header that a setting sends, to the upstream, the client or the authorization server.
type SentHeader struct {
	Key  string
	Name string // header, or header:scheme
}

// header returns the header's name without a scheme.
func (s *SentHeader) header() string {
	name, _, _ := strings.Cut(s.Name, ":")
	return name
}

// Is reports whether two settings send one header, in any spelling that upstreams read alike.
func (s *SentHeader) Is(other *SentHeader) bool {
	return s.header() != "" && auth.FoldHeader(s.header()) == auth.FoldHeader(other.header())
}

// Sent returns the headers that a list of names sends.
func Sent(key string, names []string) (all []SentHeader) {
	for n, name := range names {
		all = append(all, SentHeader{fmt.Sprintf("%s[%d]", key, n), name})
	}
	return all
}

// SentOnce refuses a header that two of the settings send, because the last would win. The complaint is about the one that stands
// further down.
func (c Checker) SentOnce(all []SentHeader) {
	all = c.InOrder(all)
	first := map[string]*SentHeader{}
	for i := range all {
		s := &all[i]
		if s.header() == "" || c.IsBad(s.Key) {
			continue
		}
		name := auth.FoldHeader(s.header())
		if before := first[name]; before != nil {
			c.Complain(s.Key, "%s is sent by %s at %s already, as %s: choose another header, or take one of them out",
				Quote(s.Name), KeyName(before.Key), c.Place(before.Key, s.Key), Quote(before.Name))
			continue
		}
		first[name] = s
	}
}
