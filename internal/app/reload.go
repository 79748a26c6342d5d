package app

import (
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/config"
)

// A refusal is why a reload was refused.
type refusal struct {
	class string // "configuration" or "listeners": readiness shows only this to requests without the admin token
	err   error
	time  time.Time
}

// reload reads the configuration and makes it the running one. A configuration that is bad, or whose listeners can't be opened, changes
// nothing.
func (s *server) reload(source *config.Source) {
	if err := s.state.audit.Reopen(); err != nil {
		s.log.Error("the audit stream goes on into the former file", "error", err)
	}
	refused := s.tryReload(source)
	s.refused.Store(refused)
	if refused != nil {
		s.state.metrics.Refused()
		s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.ReloadRefused})
		s.log.Error("reload refused, the old configuration goes on", "error", refused.err)
		return
	}
	file := s.running()
	if names := needRestart(s.logging, file.Log); len(names) > 0 {
		s.log.Warn("these settings can't change on reload: restart for that", "settings", strings.Join(names, ", "))
	}
	s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.Reloaded})
	s.log.Info("reloaded", "routes", len(file.Routes))
}

// needRestart returns the names of the settings that differ and that a reload can't change: those of what is made once.
func needRestart(started, now config.Log) (names []string) {
	if started.Format != now.Format {
		names = append(names, "log.format")
	}
	if started.Audit != now.Audit {
		names = append(names, "log.audit")
	}
	return names
}

func (s *server) tryReload(source *config.Source) *refusal {
	file, err := source.Load()
	if err != nil {
		return &refusal{"configuration", err, time.Now()}
	}
	plan, err := s.planDoors(file)
	if err != nil {
		return &refusal{"listeners", err, time.Now()}
	}
	if err := s.load(file); err != nil {
		plan.abandon()
		return &refusal{"configuration", err, time.Now()}
	}
	s.useDoors(plan)
	return nil
}
