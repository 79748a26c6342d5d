package session

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestMemoryQueuesASessionOnce holds that what a session costs doesn't grow with the number of its refreshes.
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
	if len(r.memory.queue) != 1 || len(r.memory.entries) != 1 {
		t.Errorf("after 10,000 refreshes: %d queued, %d sessions; expected 1 of each", len(r.memory.queue), len(r.memory.entries))
	}
}

// TestMemoryQueueHasWhatIsStored does at random what happens to sessions, and holds after each step that the queue has every
// stored entry once, at the place where the entry says that it stands.
func TestMemoryQueueHasWhatIsStored(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	r.memory.max = 20
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
			s.EndBySubject(t.Context(), john().Issuer, john().ClientID, john().Subject)
		case 5:
			r.pass(time.Duration(random.IntN(int(10 * time.Minute))))
		case 6:
			r.memory.sweep()
		default:
			s.Open(t.Context(), *one(random, append(ids, newID()))) // used, or rotated
		}
		r.queued(step)
	}
}

func one(random *rand.Rand, ids []ID) *ID {
	if len(ids) == 0 {
		return nil
	}
	return &ids[random.IntN(len(ids))]
}

func (r *rig) queued(step int) {
	r.Helper()
	m := r.memory
	if len(m.queue) != len(m.entries) {
		r.Fatalf("step %d: %d queued, %d stored", step, len(m.queue), len(m.entries))
	}
	for at, k := range m.queue {
		if k.at != at || m.entries[k.id] != k || at > 0 && m.queue[(at-1)/2].queued > k.queued {
			r.Fatalf("step %d: the entry at %d stands at another place, or isn't stored", step, at)
		}
	}
}
