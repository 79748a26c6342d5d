package app

import "sallyport/internal/session"

const (
	noSecret = "session_secret isn't set, so one was generated: a restart ends all sessions, and a second replica can't read " +
		"this one's sessions and doesn't hear of a logout here; set session_secret to the output of: openssl rand -base64 32"
	inMemory = "sessions are in memory, so another replica neither has them nor hears of a logout here; " +
		"with several replicas set session_storage to redis"
	inCookies = "sessions are in cookies, so neither the OpenID Provider nor an administrator can end them: " +
		"oauth2/backchannel-logout and oauth2/frontchannel-logout answer 404; if they must, set session_storage to redis"
)

// noteStorage notes what a new store of sessions can't do.
func (b *builder) noteStorage(route string, s session.Settings, generatedSecret bool) {
	switch {
	case s.Storage == "cookie":
		b.note(route, inCookies)
	case s.Storage == "memory" && !generatedSecret: // noSecret says it, too
		b.note(route, inMemory)
	}
}

// note records a consequence of the configuration that isn't a mistake and that an operator should know. The log has it when the
// configuration runs, and Check writes it.
func (b *builder) note(route, text string) {
	b.notes = append(b.notes, "route "+route+": "+text)
	b.log.Warn(text, "route", route)
}
