package session

import (
	"log/slog"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// The procedure for a new secret loses no session that is in use: the new secret last, then first, then alone once the rolling timeout has
// passed. Without a rolling timeout it is the absolute one, which has ended all sessions of the old secret by then.
func TestChangeOfSecretLosesNoSession(t *testing.T) {
	for name, c := range map[string]struct {
		timeouts timeouts
		wait     time.Duration // before the old secret goes
	}{
		"rolling":  {timeouts{idling: 15 * time.Minute, rolling: time.Hour, absolute: 24 * time.Hour}, time.Hour},
		"absolute": {timeouts{idling: 15 * time.Minute, absolute: 2 * time.Hour}, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := redisRig(t)
			l := &secretsLoad{rig: r, timeouts: c.timeouts}
			s := l.with(secretA)
			for range 10 {
				l.started = append(l.started, startedSession{r.start(s, nil, john()), r.clock.now()})
				l.use(s, time.Minute)
			}
			for _, secrets := range [][]auth.Secret{{secretA, secretB}, {secretB, secretA}} {
				s = l.with(secrets...)
				for range 5 {
					l.started = append(l.started, startedSession{r.start(s, nil, john()), r.clock.now()})
					l.use(s, time.Minute)
				}
			}
			for range c.wait / (10 * time.Minute) {
				l.use(s, 10*time.Minute)
			}
			s = l.with(secretB)
			l.use(s, time.Minute)
			if n, err := bySubject(s, t.Context(), john().Issuer, "app", john().Subject); err != nil || n < len(l.started) {
				t.Errorf("a logout ended %d of %d sessions, %v", n, len(l.started), err)
			}
		})
	}
}

// A secretsLoad uses all its sessions now and then.
type secretsLoad struct {
	*rig
	timeouts timeouts
	started  []startedSession
}

type startedSession struct {
	id    ID
	began time.Time
}

func (l *secretsLoad) with(secrets ...auth.Secret) *Sessions {
	l.Helper()
	s, err := New(Config{
		Settings: Settings{
			Storage: "redis", Redis: l.server.Settings(), IdlingTimeout: l.timeouts.idling,
			RollingTimeout: l.timeouts.rolling, AbsoluteTimeout: l.timeouts.absolute,
		},
		Now: l.clock.now, Keyring: mustKeyring(l, secrets...), Log: slog.New(slog.NewTextHandler(l.log, nil)),
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { s.Close() })
	return s
}

// use lets time pass, and then uses each session. It expects that only the absolute timeout has ended any.
func (l *secretsLoad) use(s *Sessions, after time.Duration) {
	l.Helper()
	l.pass(after)
	var still []startedSession
	for _, one := range l.started {
		if l.clock.now().Sub(one.began) >= l.timeouts.absolute {
			continue
		}
		one.id = l.open(s, one.id).ID
		still = append(still, one)
	}
	l.started = still
}
