package authserver

import "github.com/redis/go-redis/v9"

// What has to happen in one step is a script: Redis runs each as a transaction. A command that the client sends again
// because the answer was lost must not fail for its own first try: spendScript knows its own work by the token's record,
// which nobody else could have written.

// spendScript spends a code, or a family's state, that is as it was loaded, and stores what it is exchanged for. The set of
// a family's tokens loses those that have expired, and lives as long as the family and the last of them. If there are too many,
// the first to expire end early: never the one that is stored now, whatever the clocks of the replicas say.
//
// KEYS: 1 what is spent, 2 the family, 3 the access token, 4 the set of the family's tokens.
// ARGV: 1 what is spent as it was loaded, 2 the family's record, 3 its life in ms, 4 the token's record, 5 its life in ms,
// 6 now, 7 when the token expires, both in Unix microseconds, so that no two tokens tie, 8 how many tokens a family has at most.
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

// endScript forgets a family and its access tokens. KEYS: 1 the family, 2 the set of its tokens.
var endScript = redis.NewScript(`
for _, token in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
	redis.call('DEL', token)
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1`)
