package redis

import (
	"errors"
	"net/netip"
	"strings"
)

// CheckHost returns an error if host is not a host name or an IP address. The error says what to write instead. It never shows the host,
// which could contain a password.
func CheckHost(host string) error {
	address, err := netip.ParseAddr(host)
	switch {
	case err == nil && address.IsValid():
		return nil
	case strings.Contains(host, "://") || strings.Contains(host, "@"):
		return errors.New("it is a host, not a URL: write host: redis.example.com, " +
			"and port, username, password and database beside it, and ssl: true for rediss")
	case strings.HasPrefix(host, "/") || strings.HasPrefix(host, "unix:"):
		return errors.New("it is a host, not a file: write socket: /run/redis/redis.sock instead")
	case strings.HasPrefix(host, "["):
		return errors.New("an IPv6 address is written here without brackets and port: write host: 2001:db8::1, and port beside it")
	case strings.ContainsAny(host, ", "):
		return errors.New("it is one host: for several write sentinel_nodes or cluster_nodes")
	case strings.Contains(host, ":"):
		return errors.New("it is a host without port: write host: redis.example.com, and port: 6379 beside it")
	case strings.ContainsAny(host, "/*$(){}[]|^?#%\\"):
		return errors.New("it isn't a host name: write such as redis.example.com")
	}
	return nil
}

// CheckSocket returns an error if path is not an absolute path.
func CheckSocket(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New("it is the socket's absolute path, not a URL: write such as /run/redis/redis.sock")
	}
	return nil
}
