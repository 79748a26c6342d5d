package session

import (
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// What has to happen in one step is a script: Redis runs each as a transaction. A command that the client sends again
// because the answer was lost must not fail for its own first try, so each script knows its own work when it sees it.

// A write is what saveScript does.
type write struct {
	name, record   string
	ttl            time.Duration // zero is for ever
	old, oldRecord string        // what it replaces, or empty
	left           string        // what stays under old for the grace time, or empty
	now, end       time.Time     // end is when the session is over at the latest; zero is never
	indexes        []string
}

func (w *write) keys() []string {
	old := w.old
	if old == "" {
		old = w.name
	}
	return append([]string{w.name, old}, w.indexes...)
}

func (w *write) arguments() []any {
	score := "inf"
	if !w.end.IsZero() {
		score = strconv.FormatInt(w.end.UnixMilli(), 10)
	}
	return []any{w.record, milliseconds(w.ttl), w.oldRecord, w.left, milliseconds(grace), strconv.FormatInt(w.now.UnixMilli(), 10), score}
}

// saveScript stores a record and lists it in its indexes. An index is a sorted set of records, by when they are over at
// the latest; those that are over go at each write, and the index itself goes with the last of them. Where sessions are
// never over, those go that Redis has forgotten.
//
// KEYS: the record, the old record, indexes...
// ARGV: 1 the record, 2 its TTL in ms or 0, 3 the old record as it was read or empty, 4 what is left of it or empty,
// 5 the TTL of that, 6 now, 7 when the session is over at the latest or inf.
var saveScript = redis.NewScript(`
if ARGV[3] ~= '' then
	if redis.call('GET', KEYS[2]) ~= ARGV[3] then
		return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
	end
	if ARGV[4] == '' then
		redis.call('DEL', KEYS[2])
	else
		redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
	end
end
if ARGV[2] == '0' then
	redis.call('SET', KEYS[1], ARGV[1])
else
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
for i = 3, #KEYS do
	local index = KEYS[i]
	redis.call('ZREMRANGEBYSCORE', index, '-inf', ARGV[6])
	if ARGV[3] ~= '' then redis.call('ZREM', index, KEYS[2]) end
	if ARGV[7] == 'inf' then
		for _, member in ipairs(redis.call('ZRANGE', index, 0, 99)) do
			if redis.call('EXISTS', member) == 0 then redis.call('ZREM', index, member) end
		end
	end
	redis.call('ZADD', index, ARGV[7], KEYS[1])
	local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
	if last == 'inf' then
		redis.call('PERSIST', index)
	else
		redis.call('PEXPIRE', index, string.format('%.0f', last - ARGV[6]))
	end
end
return 1`)

// swapScript replaces a record that is as it was read, and leaves its TTL. KEYS: the record. ARGV: as it was, the new one.
var swapScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1])
if now == ARGV[1] then
	redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
	return 1
end
return now == ARGV[2] and 1 or 0`)

// removeScript deletes all records that indexes list, and the indexes. KEYS: indexes.
var removeScript = redis.NewScript(`
local removed = 0
for _, index in ipairs(KEYS) do
	for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
		removed = removed + redis.call('DEL', member)
	end
	redis.call('DEL', index)
end
return removed`)

// leaseScript takes a lease that nobody has, or prolongs one's own. KEYS: the lease. ARGV: the holder, the life in ms.
var leaseScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

// releaseScript gives up one's own lease. KEYS: the lease. ARGV: the holder.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
