package signer

import "sallyport/internal/check"

// Check reports what is wrong with the settings, whose keys are below keys.
func (s *Settings) Check(c check.Checker) {
	c = c.Below("keys.")
	c.Must("file", s.Storage != "file" || s.File != "", "storage: file needs the file's path: add it")
	if s.Storage != "memory" && len(s.Secret) == 0 {
		c.Complain("storage", "%s needs a secret that seals the keys: add secret: (openssl rand -base64 32)", s.Storage)
	}
	c.Secrets("secret", s.Secret)
	c.One("public_path", s.PublicPath, check.Path)
	s.Redis.Check(c, "redis")
}
