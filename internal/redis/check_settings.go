package redis

import "sallyport/internal/check"

// Check reports what is wrong with the settings; key is theirs.
func (s *Settings) Check(c check.Checker, key string) {
	host, socket := key+".host", key+".socket"
	c.Must(host, !c.IsSet(host) || !c.IsSet(socket), "%s is written too: keep one of them", socket)
	c.Err(host, CheckHost(s.Host))
	c.One(socket, s.Socket, CheckSocket)
	c.One(key+".server_name", s.ServerName, check.ServerName)
	c.PEM(key+".ca_file", s.CAFile)
	if s.SSL && !s.SSLVerify {
		c.Warn(key+".ssl_verify", "the certificate of Redis isn't verified: anyone on the network path can impersonate Redis")
	}
}
