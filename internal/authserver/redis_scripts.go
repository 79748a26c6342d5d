package authserver

import "github.com/redis/go-redis/v9"

// Each of these scripts is one transaction in Redis, and its keys are in one slot of a Cluster. The Redis client sends a command again when
// the response was lost, and the second run must not fail because of the first: spendScript recognizes its own result by the token's
// record, which no other request could have written.

// spendScript spends a record, which is a code or a family, if it is unchanged, and stores the issuance for which it is exchanged. It
// removes expired tokens from the set of the family's tokens, which lives as long as the family and the last of its tokens. If a family
// has too many tokens, it deletes those that expire first, but never the new one, whatever the clocks of the replicas say.
//
// KEYS: 1 the spent record, 2 the family, 3 the access token, 4 the set of the family's tokens.
// ARGV: 1 the spent record as it was loaded, 2 the family's record, 3 its TTL in ms, 4 the token's record, 5 its TTL in ms, 6 the current
// time and 7 the token's expiry, both in Unix microseconds, so that no two tokens tie, 8 the maximum number of a family's tokens.
var spendScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return redis.call('GET', KEYS[3]) == ARGV[4] and 1 or 0
end
if KEYS[1] ~= KEYS[2] then redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[6])
redis.call('ZADD', KEYS[4], ARGV[7], KEYS[3])
local excess = redis.call('ZCARD', KEYS[4]) - ARGV[8]
if excess > 0 then
	for _, token in ipairs(redis.call('ZRANGE', KEYS[4], 0, excess)) do
		if token ~= KEYS[3] and excess > 0 then
			redis.call('DEL', token)
			redis.call('ZREM', KEYS[4], token)
			excess = excess - 1
		end
	end
end
local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIRE', KEYS[4], string.format('%.0f', math.max(ARGV[3], (last - ARGV[6]) / 1000)))
return 1`)

// replaceScript replaces a record if it is unchanged, and keeps its TTL. KEYS: 1 the record. ARGV: 1 the record as it was loaded, 2 the
// next.
var replaceScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1])
if now ~= ARGV[1] then return now == ARGV[2] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`)

// endScript deletes a family and its access tokens. KEYS: 1 the family, 2 the set of its tokens.
var endScript = redis.NewScript(`
for _, token in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
	redis.call('DEL', token)
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1`)
