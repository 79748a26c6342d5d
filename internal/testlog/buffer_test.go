package testlog

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimit(t *testing.T) {
	all, last := &Buffer{}, &Buffer{Limit: 100}
	for n := range 1000 {
		fmt.Fprintf(all, "line %03d\n", n)
		fmt.Fprintf(last, "line %03d\n", n)
	}
	if got := all.String(); len(got) != 9000 {
		t.Errorf("%d bytes, expected all 9000", len(got))
	}
	if got := last.String(); len(got) < 100 || len(got) > 200 || !strings.HasSuffix(all.String(), got) {
		t.Errorf("%d bytes, expected 100 to 200 of the end: %q", len(got), got)
	}
}
