package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestMemoryQueuesASessionOnce checks that a session uses no more memory after many refreshes.
func TestMemoryQueuesASessionOnce(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	id := r.start(s, nil, john())
	for range 10_000 {
		e, err := r.memory.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.memory.swap(t.Context(), e, &entry{id: id, session: e.session.With(john())}); err != nil {
			t.Fatal(err)
		}
	}
	if n, indexed := r.memory.entries.Len(), len(r.memory.ids); n != 1 || indexed != 2 {
		t.Errorf("after 10,000 refreshes: %d sessions and %d index keys, expected 1 and 2", n, indexed)
	}
}

// TestMemoryQueueHasWhatIsStored runs random operations, and checks after each that the index lists exactly the stored sessions.
func TestMemoryQueueHasWhatIsStored(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	r.memory.entries.Max = 20
	random := rand.New(rand.NewPCG(1, 2))
	var ids []ID
	for step := range 2000 {
		switch random.IntN(8) {
		case 0, 1:
			ids = append(ids, r.start(s, nil, john()))
		case 2:
			ids = append(ids, r.start(s, one(random, ids), john()))
		case 3:
			s.End(t.Context(), *one(random, append(ids, newID())))
		case 4:
			bySubject(s, t.Context(), john().Issuer, john().ClientID, john().Subject)
			r.pass(time.Second) // a login in the second of a logout ends
		case 5:
			r.pass(time.Duration(random.IntN(int(10 * time.Minute))))
		case 6:
			r.memory.sweep()
		default:
			s.Open(t.Context(), *one(random, append(ids, newID()))) // used, or rotated
		}
		r.indexed(step, ids)
	}
}

func one(random *rand.Rand, ids []ID) *ID {
	if len(ids) == 0 {
		return nil
	}
	return &ids[random.IntN(len(ids))]
}

// indexed checks the store's index of sessions that all have the same two index keys.
func (r *rig) indexed(step int, ids []ID) {
	r.Helper()
	m := r.memory
	for _, id := range ids {
		if s, ok := m.entries.Get(id); ok && s.session != nil {
			s.session.Login.eachIndexKey(func(key indexKey) {
				if _, listed := m.ids[key][id]; !listed {
					r.Fatalf("step %d: a stored session isn't in the index", step)
				}
			})
		}
	}
	if m.entries.Len() > m.entries.Max {
		r.Fatalf("step %d: %d entries are stored, expected at most %d", step, m.entries.Len(), m.entries.Max)
	}
	for key, listed := range m.ids {
		for id := range listed {
			if s, ok := m.entries.Get(id); !ok || s.session == nil {
				r.Fatalf("step %d: %v lists a session that isn't stored", step, key.kind)
			}
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	r.memory.entries.Max = 10
	var ids []ID
	for range 10 {
		ids = append(ids, r.start(s, nil, john()))
		r.pass(time.Minute)
	}
	r.open(s, ids[0]) // used: it is no longer the first to expire
	last := r.start(s, nil, john())
	r.gone(s, ids[1])
	for i, id := range append(ids[2:], ids[0], last) {
		if _, err := s.Open(t.Context(), id); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if r.memory.entries.Len() != 10 || r.log.String() == "" {
		t.Errorf("%d sessions, expected 10 and a warning: %q", r.memory.entries.Len(), r.log.String())
	}
}

func TestMemorySweeps(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	var used ID
	for i := range 100 {
		l := john()
		l.Subject = fmt.Sprint("sub ", i)
		used = r.start(s, nil, l)
	}
	r.memory.lease(t.Context(), newID(), "dead", time.Second)
	r.pass(10 * time.Minute)
	r.open(s, used)
	r.pass(10 * time.Minute)
	r.memory.sweep()
	if m := r.memory; m.entries.Len() != 1 || m.leases.Len() != 0 || len(m.ids) != 2 {
		t.Errorf("after the sweep: %d sessions, %d leases, %d index keys; expected 1, 0, 2", m.entries.Len(), m.leases.Len(), len(m.ids))
	}
	r.open(s, used)
	r.pass(time.Hour)
	r.memory.sweep()
	if r.memory.entries.Len()+len(r.memory.ids) != 0 {
		t.Error("something is left")
	}
}
