package authserver

import (
	"container/heap"
	"time"
)

// A room holds a bounded number of things, each until its time. It isn't safe for concurrent use.
type room[T any] struct {
	max    int
	things map[digest]*thing[T]
	queue  queue[T]
}

type thing[T any] struct {
	key   digest
	value T
	until int64 // Unix nanoseconds
	at    int   // in the queue
}

func newRoom[T any](most int) *room[T] {
	return &room[T]{max: most, things: map[digest]*thing[T]{}}
}

// get returns what is under a key. Something that has expired may still be there: the caller's clock judges.
func (r *room[T]) get(key digest) (v T, ok bool) {
	t := r.things[key]
	if t == nil {
		return v, false
	}
	return t.value, true
}

// put stores a value in the place of what was under its key. If the room is full it returns what had to go: what would
// have ended first.
func (r *room[T]) put(key digest, v T, until time.Time) (evicted *T) {
	r.drop(key)
	if len(r.queue) >= r.max {
		first := r.queue[0]
		r.drop(first.key)
		evicted = &first.value
	}
	t := &thing[T]{key: key, value: v, until: until.UnixNano()}
	r.things[key] = t
	heap.Push(&r.queue, t)
	return evicted
}

// drop takes out what is under a key and returns it.
func (r *room[T]) drop(key digest) (v T, ok bool) {
	t := r.things[key]
	if t == nil {
		return v, false
	}
	delete(r.things, key)
	heap.Remove(&r.queue, t.at)
	return t.value, true
}

// sweep takes out what has expired.
func (r *room[T]) sweep(now time.Time) {
	for len(r.queue) > 0 && r.queue[0].until <= now.UnixNano() {
		r.drop(r.queue[0].key)
	}
}

// A queue is a heap of things, the first to end at its head.
type queue[T any] []*thing[T]

func (q queue[T]) Len() int           { return len(q) }
func (q queue[T]) Less(i, j int) bool { return q[i].until < q[j].until }
func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *queue[T]) Push(x any) {
	t := x.(*thing[T])
	t.at = len(*q)
	*q = append(*q, t)
}

func (q *queue[T]) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
