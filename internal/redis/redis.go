// Package redis makes clients of Redis from settings: of one server, of the master that Sentinels name, or of a Cluster.
package redis

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/auth"
)

// Settings are the connection settings of one server, of a set of Sentinels or of a Cluster.
type Settings struct {
	Host     string      `yaml:"host" default:"127.0.0.1"`
	Port     int         `yaml:"port" default:"6379" min:"1" max:"65535"`
	Socket   string      `yaml:"socket"`                       // the path of a Unix socket; it replaces host and port
	Database int         `yaml:"database" default:"0" min:"0"` // a Cluster has only 0
	Prefix   string      `yaml:"prefix" default:"sallyport:"`
	Username string      `yaml:"username"` // ACL user
	Password auth.Secret `yaml:"password"`

	SentinelMaster   string         `yaml:"sentinel_master"` // the name of the master that the Sentinels monitor
	SentinelNodes    []SentinelNode `yaml:"sentinel_nodes" min:"1"`
	SentinelRole     string         `yaml:"sentinel_role"`     // master, or empty: a replica may still have what has ended
	SentinelUsername string         `yaml:"sentinel_username"` // ACL user of the Sentinels
	SentinelPassword auth.Secret    `yaml:"sentinel_password"`

	ClusterNodes           []ClusterNode `yaml:"cluster_nodes" min:"1"` // some of them; the Cluster names the others
	ClusterMaxRedirections int           `yaml:"cluster_max_redirections" default:"5" min:"1"`

	ConnectionIsProxied bool `yaml:"connection_is_proxied" default:"false"`

	// WaitReplicas is how many replicas must confirm a write. It is nil by default: 1 with Sentinel and Cluster, else 0.
	WaitReplicas *int          `yaml:"wait_replicas" min:"0" max:"100"`
	WaitTimeout  time.Duration `yaml:"wait_timeout" unit:"ms" default:"500" min:"1ms"` // less than ReadTimeout

	ConnectTimeout    time.Duration `yaml:"connect_timeout" unit:"ms" default:"2000" min:"1ms"`
	SendTimeout       time.Duration `yaml:"send_timeout" unit:"ms" default:"2000" min:"1ms"`
	ReadTimeout       time.Duration `yaml:"read_timeout" unit:"ms" default:"2000" min:"1ms"`
	SSL               bool          `yaml:"ssl" default:"false"`                       // to servers and Sentinels
	SSLVerify         bool          `yaml:"ssl_verify" default:"true"`                 // false is insecure: the certificate is not verified
	ServerName        string        `yaml:"server_name"`                               // in SNI and certificate; default each node's host
	CAFile            string        `yaml:"ca_file"`                                   // PEM; trusted in addition to the system's CAs
	CertFile          string        `yaml:"cert_file" live:"true"`                     // PEM, the leaf first: the client's certificate
	KeyFile           string        `yaml:"key_file" live:"true"`                      // PEM
	KeepalivePoolSize int           `yaml:"keepalive_pool_size" default:"256" min:"1"` // connections to each node
}

// A SentinelNode is the address of a Sentinel.
type SentinelNode struct {
	Host string `yaml:"host" default:"127.0.0.1"`
	Port int    `yaml:"port" default:"6379" min:"1" max:"65535"`
}

// A ClusterNode is the address of a node of a Cluster.
type ClusterNode struct {
	IP   string `yaml:"ip" default:"127.0.0.1"` // or a host name
	Port int    `yaml:"port" default:"6379" min:"1" max:"65535"`
}

func (s *Settings) hasSentinels() bool { return len(s.SentinelNodes) > 0 }
func (s *Settings) hasCluster() bool   { return len(s.ClusterNodes) > 0 }

// waitReplicas returns how many replicas must confirm a write.
func (s *Settings) waitReplicas() int {
	switch {
	case s.WaitReplicas != nil:
		return *s.WaitReplicas
	case s.hasSentinels(), s.hasCluster():
		return 1
	}
	return 0
}

// addresses returns the addresses to dial first: of the server, of the Sentinels or of nodes of the Cluster.
func (s *Settings) addresses() (all []string) {
	for _, n := range s.SentinelNodes {
		all = append(all, net.JoinHostPort(n.Host, strconv.Itoa(n.Port)))
	}
	for _, n := range s.ClusterNodes {
		all = append(all, net.JoinHostPort(n.IP, strconv.Itoa(n.Port)))
	}
	if len(all) == 0 {
		all = []string{cmp.Or(s.Socket, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))}
	}
	return all
}

// Name returns what the settings connect to, with its addresses and the database, for messages.
func (s *Settings) Name() string {
	all := strings.Join(s.addresses(), ", ")
	switch {
	case s.hasSentinels():
		return fmt.Sprintf("master %s of the Sentinels %s, database %d", s.SentinelMaster, all, s.Database)
	case s.hasCluster():
		return "Cluster of " + all
	}
	return fmt.Sprintf("%s, database %d", all, s.Database)
}

// New returns a client. It doesn't connect yet: the server may start later. The caller closes the client.
func (s *Settings) New(log *slog.Logger) (*Client, error) {
	clientMessages.log.Store(log)
	return s.newClient(log, s.hasSentinels() || s.hasCluster() || s.ConnectionIsProxied || s.waitReplicas() > 0)
}

// newClient returns a client. A patient one tries commands again while parts of Redis change.
func (s *Settings) newClient(log *slog.Logger, isPatient bool) (*Client, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(&clientMessages)
	c := &Client{
		replicas: s.waitReplicas(), waitTimeout: s.WaitTimeout, hops: s.ClusterMaxRedirections,
		log: log, logged: map[string]time.Time{},
	}
	c.node = func(address string) *goredis.Client {
		one := o.Simple()
		one.Addr, one.PoolSize = address, 1
		return goredis.NewClient(one)
	}
	switch {
	case s.hasSentinels():
		c.UniversalClient = goredis.NewFailoverClient(o.Failover())
	case s.hasCluster():
		cluster := o.Cluster()
		cluster.DisableRoutingPolicies = true // they need the command COMMAND
		c.cluster = goredis.NewClusterClient(cluster)
		c.UniversalClient = c.cluster
	default:
		c.UniversalClient = goredis.NewClient(s.single(o))
	}
	if s.hasSentinels() {
		c.AddHook(sentinels{})
	}
	if isPatient {
		c.AddHook(patient{c})
	}
	c.AddHook(traced{})
	return c, nil
}
