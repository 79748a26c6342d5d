package session

import "github.com/redis/go-redis/v9"

// Each of these scripts is one transaction in Redis, and has one key, or keys of one slot. The Redis client sends a command again
// when the response was lost. The second run must not fail because of the first, so each script recognizes its own result.

// swapScript replaces a record if it is unchanged. KEYS: the record. ARGV: 1 the old record, empty if there was none, 2 the new
// record, 3 its life in ms, empty to keep the old one's.
var swapScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now == ARGV[2] and 1 or 0 end
if ARGV[3] == '' then
	redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
else
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1`)

// dropScript deletes a record if it is unchanged. It also returns 0 if the record is gone: its own first run may have deleted it, or
// another request. A caller finds out by reading it again. KEYS: the record. ARGV: the old record.
var dropScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)

// listScript adds a member to an index, which is a sorted set of records by the latest time at which they end. It also removes
// the members that have ended, and lets the index expire with its last member. It returns up to 100 random members that never end,
// of which some may have no record any more.
//
// KEYS: the index. ARGV: 1 the member, 2 the latest time of its end in ms, or inf, 3 the current time in ms.
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

// leaseScript takes a free lease, or renews the holder's own. KEYS: the lease. ARGV: 1 the holder, 2 the life in ms.
var leaseScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

// releaseScript ends the holder's own lease. KEYS: the lease. ARGV: the holder.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
