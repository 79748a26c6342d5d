package config

import (
	"os"
	"path/filepath"
)

// checkAudit checks where the audit stream goes. It makes a file relative to the configuration's, as other files are.
func (l *loader) checkAudit() {
	to := &l.file.Log.Audit
	if *to == "" || *to == "stdout" || *to == "stderr" {
		return
	}
	if !filepath.IsAbs(*to) {
		*to = filepath.Join(filepath.Dir(l.file.Name), *to)
	}
	if info, err := os.Stat(*to); err == nil && info.IsDir() {
		l.process.Complain("log.audit", "%s is a folder: write a file in it, as in %s", *to, filepath.Join(*to, "audit.log"))
	}
}
