package check

import (
	"fmt"
	"strings"

	"sallyport/internal/auth"
)

// A SentHeader is a header that the gate sends because of a setting, to the upstream, the client or the authorization server.
type SentHeader struct {
	Key  string
	Name string // header, or header:scheme
}

// header returns the header's name without a scheme.
func (s *SentHeader) header() string {
	name, _, _ := strings.Cut(s.Name, ":")
	return name
}

// Is reports whether two settings send the same header. Spellings that upstreams may treat alike are the same header.
func (s *SentHeader) Is(other *SentHeader) bool {
	return s.header() != "" && auth.FoldHeader(s.header()) == auth.FoldHeader(other.header())
}

// Sent returns the headers for a setting that is a list of names.
func Sent(key string, names []string) (all []SentHeader) {
	for n, name := range names {
		all = append(all, SentHeader{fmt.Sprintf("%s[%d]", key, n), name})
	}
	return all
}

// SentOnce complains about a header that two settings send, because one would replace the other. The complaint is about the second setting
// in the file.
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
