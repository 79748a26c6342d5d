package redis_test

import (
	"testing"
	"time"

	"sallyport/internal/redis/redistest"
)

func TestStartShapes(t *testing.T) {
	b := time.Now()
	s := redistest.StartSentinel(t)
	t.Log("sentinel", time.Since(b))
	b = time.Now()
	c := redistest.StartCluster(t)
	t.Log("cluster", time.Since(b))
	ss, cs := s.Settings(), c.Settings()
	if err := ss.Ask(t.Context()); err != nil {
		t.Error(err)
	}
	if err := cs.Ask(t.Context()); err != nil {
		t.Error(err)
	}
	t.Log(ss.Examine(t.Context()))
	t.Log(cs.Examine(t.Context()))
}
