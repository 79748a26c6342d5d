package redis

import goredis "github.com/redis/go-redis/v9"

// LeaseScript takes a free lease, or renews the holder's own. It returns 1, or 0 if another has it. KEYS: the lease. ARGV: 1 the holder, 2
// the life in ms.
var LeaseScript = goredis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

// ReleaseScript ends the holder's own lease. KEYS: the lease. ARGV: the holder.
var ReleaseScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
