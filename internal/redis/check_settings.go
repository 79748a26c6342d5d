package redis

import (
	"crypto/tls"
	"fmt"

	"sallyport/internal/check"
)

// Check reports what is wrong with the settings; key is theirs.
func (s *Settings) Check(c check.Checker, key string) {
	host, socket := key+".host", key+".socket"
	c.Must(host, !c.IsSet(host) || !c.IsSet(socket), "%s is written too: keep one of them", socket)
	c.Err(host, CheckHost(s.Host))
	c.One(socket, s.Socket, CheckSocket)
	s.checkSentinels(c, key+".")
	s.checkCluster(c, key+".")
	s.checkAddresses(c, key+".")
	s.checkWait(c, key+".")
	s.checkTLS(c, key+".")
}

func (s *Settings) checkSentinels(c check.Checker, in string) {
	for n, node := range s.SentinelNodes {
		c.Err(fmt.Sprintf("%ssentinel_nodes[%d].host", in, n), CheckHost(node.Host))
	}
	c.Must(in+"sentinel_nodes", !s.hasSentinels() || s.SentinelMaster != "",
		"the Sentinels monitor several masters by name: add sentinel_master")
	const alone = "it isn't used without the addresses of the Sentinels: add sentinel_nodes"
	c.Must(in+"sentinel_master", s.SentinelMaster == "" || s.hasSentinels(), alone)
	c.Must(in+"sentinel_username", s.SentinelUsername == "" || s.hasSentinels(), alone)
	c.Must(in+"sentinel_password", s.SentinelPassword == "" || s.hasSentinels(), alone)
	c.Must(in+"sentinel_role", s.SentinelRole == "" || s.SentinelRole == "master",
		"only master is supported: a replica may still have a login that has ended")
}

func (s *Settings) checkCluster(c check.Checker, in string) {
	for n, node := range s.ClusterNodes {
		c.Err(fmt.Sprintf("%scluster_nodes[%d].ip", in, n), CheckHost(node.IP))
	}
	c.Must(in+"database", !s.hasCluster() || s.Database == 0, "a Redis Cluster has only the database 0: take it out, or cluster_nodes")
}

// checkAddresses reports addresses of two kinds.
func (s *Settings) checkAddresses(c check.Checker, in string) {
	nodes := "sentinel_nodes"
	switch {
	case s.hasSentinels() && s.hasCluster():
		c.Complain(in+"cluster_nodes", "sentinel_nodes is written too: keep one of them")
		return
	case s.hasCluster():
		nodes = "cluster_nodes"
	case !s.hasSentinels():
		return
	}
	for _, name := range []string{"host", "port", "socket"} {
		c.Must(in+name, !c.IsSet(in+name), "%s is written too: keep one of them", nodes)
	}
	c.Must(in+"connection_is_proxied", !s.ConnectionIsProxied,
		"%s is written too: a proxy has one address, which is written as host", nodes)
}

// checkWait compares the two times that end the wait for an answer of WAIT.
func (s *Settings) checkWait(c check.Checker, in string) {
	if s.waitReplicas() == 0 || s.WaitTimeout < s.ReadTimeout {
		return
	}
	if c.IsSet(in + "wait_timeout") {
		c.Complain(in+"wait_timeout", "Redis answers WAIT after up to this time: write less than read_timeout, which is %s", s.ReadTimeout)
		return
	}
	c.Complain(in+"read_timeout",
		"Redis answers WAIT after up to wait_timeout, which is %s: write more, or a shorter wait_timeout", s.WaitTimeout)
}

func (s *Settings) checkTLS(c check.Checker, in string) {
	c.One(in+"server_name", s.ServerName, check.ServerName)
	c.PEM(in+"ca_file", s.CAFile)
	if s.SSL && !s.SSLVerify {
		c.Warn(in+"ssl_verify", "the certificate of Redis isn't verified: anyone on the network path can impersonate Redis")
	}
	c.Must(in+"cert_file", s.CertFile == "" || s.KeyFile != "", "it needs the other half: add key_file")
	c.Must(in+"key_file", s.KeyFile == "" || s.CertFile != "", "it needs the other half: add cert_file")
	c.Must(in+"cert_file", s.CertFile == "" || s.SSL, "a certificate is sent only over TLS: add ssl: true")
	if s.CertFile == "" || s.KeyFile == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile); err != nil {
		c.Complain(in+"cert_file", "the certificate and its key can't be used: %v", err)
	}
}
