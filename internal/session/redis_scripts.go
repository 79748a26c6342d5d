package session

import "github.com/redis/go-redis/v9"

// Each of these scripts is one transaction in Redis, and has one key, or keys of one slot. The Redis client sends a command again
// when the response was lost. The second run must not fail because of the first, so each script recognizes its own result.
//
// Scripts that replace or delete a record publish the digest of its ID: redis_messages.go. So the message costs no command, and is in the
// order of the changes. A user who may not publish must be able to log out all the same, so the script ignores that error.

// addScript stores a new record and its details, and the copy of a remembered session. KEYS: 1 the record, 2 the details, 3 the copy.
// ARGV: 1 the record, 2 the sealed details, 3 the time of the last use, 4 the life in ms, empty for no end, 5 the copy, empty for none,
// 6 its life in ms, 7 the life of the details in ms, empty for no end.
var addScript = redis.NewScript(`
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'l', ARGV[2], 'u', ARGV[3])
if ARGV[4] ~= '' then
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
if ARGV[7] ~= '' then redis.call('PEXPIRE', KEYS[2], ARGV[7]) end
if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6]) end
return 1`)

// touchScript records a use, and returns the record. KEYS: 1 the record, 2 the details. ARGV: 1 the time of the use, 2 the life in ms,
// empty to keep it, 3 not empty to keep that of the details.
var touchScript = redis.NewScript(`
local record = redis.call('GET', KEYS[1])
if not record then return false end
local details = redis.call('EXISTS', KEYS[2]) == 1
if details then redis.call('HSET', KEYS[2], 'u', ARGV[1]) end
if ARGV[2] ~= '' then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
	if details and ARGV[3] == '' then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
end
return record`)

// swapScript replaces a record if it is unchanged. KEYS: 1 the record, 2 the details, 3 the copy, 4 the note. ARGV: 1 the old record, empty
// if there was none, 2 the new record, 3 its life in ms, empty to keep the old one's, 4 the new details, empty to keep the old ones, 5 the
// channel, 6 the digest, 7 the new copy, empty for none. A new life ends the details, the copy and the note: it is that of a successor.
var swapScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now == ARGV[2] and 1 or 0 end
redis.pcall('PUBLISH', ARGV[5], ARGV[6])
if ARGV[3] ~= '' then
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
	redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
	return 1
end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
if ARGV[7] ~= '' then redis.call('SET', KEYS[3], ARGV[7], 'XX', 'KEEPTTL') end
if ARGV[4] ~= '' and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'l', ARGV[4]) end
return 1`)

// dropScript deletes a record if it is unchanged, the details, the copy and the note. It returns 0 if the record has changed, and -1 if it
// is gone: an earlier run may have deleted it, or another request. KEYS: 1 the record, 2 the details, 3 the copy, 4 the note. ARGV: 1 the
// old record, 2 the channel, 3 the digest.
var dropScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1])
if now ~= ARGV[1] then return now and 0 or -1 end
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return 1`)

// supersedeScript replaces the copy of a remembered session, if it is unchanged, and the session with a successor. It returns what
// dropScript does. KEYS: 1 the record, 2 the details, 3 the copy, 4 the note. ARGV: 1 the old copy, 2 the successor, empty for none, 3 its
// life in ms, 4 the channel, 5 the digest.
var supersedeScript = redis.NewScript(`
local now = redis.call('GET', KEYS[3])
if now ~= ARGV[1] then
	if ARGV[2] ~= '' then return redis.call('GET', KEYS[1]) == ARGV[2] and 1 or 0 end
	return now and 0 or -1
end
redis.pcall('PUBLISH', ARGV[4], ARGV[5])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`)

// endScript deletes a record, whatever it is, the details, the copy and the note. It returns 1 if it was a session: only those have
// details. KEYS: 1 the record, 2 the details, 3 the copy, 4 the note. ARGV: 1 the channel, 2 the digest.
var endScript = redis.NewScript(`
redis.pcall('PUBLISH', ARGV[1], ARGV[2])
redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
return redis.call('DEL', KEYS[2])`)

// noteScript stores the note of a session whose record is unchanged. KEYS: 1 the record, 2 the note. ARGV: 1 the record, 2 the note, 3 its
// life in ms.
var noteScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1`)

// indexScript adds a member to an index, which is a sorted set of sessions by the latest time at which they end. It also removes the
// members that have ended, and lets the index expire with its last member. It returns up to 20 random members, of which some may have no
// record any more.
//
// KEYS: the index. ARGV: 1 the member, 2 the latest time of its end in ms, or inf, 3 the current time in ms.
var indexScript = redis.NewScript(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last ~= 'inf' then
	redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - ARGV[3]))
else
	redis.call('PERSIST', KEYS[1])
end
return redis.call('ZRANDMEMBER', KEYS[1], 20)`)

// markScript stores a mark, unless a later one is there; then it only prolongs that one's life. KEYS: the mark. ARGV: 1 the mark, 2 its
// life in ms.
var markScript = redis.NewScript(`
local now = tonumber(redis.call('GET', KEYS[1]) or '0')
if now >= tonumber(ARGV[1]) then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)
