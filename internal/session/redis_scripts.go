package session

import "github.com/redis/go-redis/v9"

// What has to happen in one step is a script: Redis runs each as a transaction. Each has one key, or keys of one slot. A
// command that the client sends again because the answer was lost must not fail for its own first try, so each script knows
// its own work when it sees it.

// swapScript replaces a record that is as it was read. KEYS: the record. ARGV: 1 as it was, or empty if there was none, 2 the
// new one, 3 its life in ms, or empty for as long as the old one had.
var swapScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now == ARGV[2] and 1 or 0 end
if ARGV[3] == '' then
	redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
else
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1`)

// dropScript deletes a record that is as it was read. If it is gone that was the first try, or somebody else ended it, which
// the caller finds out. KEYS: the record. ARGV: as it was.
var dropScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

// listScript adds a member to an index, a sorted set of records by when they are over at the latest. Those that are over go
// at each write, and the index itself with the last of them. It returns up to 100 members at random that are never over,
// of which Redis may have forgotten some.
//
// KEYS: the index. ARGV: 1 the member, 2 when it is over at the latest in ms or inf, 3 now in ms.
var listScript = redis.NewScript(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last ~= 'inf' then
	redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - ARGV[3]))
	return {}
end
redis.call('PERSIST', KEYS[1])
return redis.call('ZRANDMEMBER', KEYS[1], 100)`)

// leaseScript takes a lease that nobody has, or prolongs one's own. KEYS: the lease. ARGV: the holder, the life in ms.
var leaseScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

// releaseScript gives up one's own lease. KEYS: the lease. ARGV: the holder.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
