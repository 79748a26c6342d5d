package app

import (
	"maps"
	"slices"
	"sync"

	"sallyport/internal/cache"
)

// A pool holds one object for each distinct settings.
type pool[T any] struct {
	mu      sync.Mutex
	objects map[cache.Key]T // by the key of the settings
}

// usedKeys are the keys of the objects that one configuration uses.
type usedKeys map[cache.Key]bool

// take returns the pool's object for the settings. It calls make if the pool doesn't have one, and marks the object as used by the
// configuration that b builds. Settings are equal if the files that they name are unchanged, too.
func take[T any](b *builder, p *pool[T], settings any, make func() (T, error)) (T, error) {
	key := cache.KeyOfSettingsAndFiles(b.state.hashKey, settings)
	b.used[key] = true
	return p.get(key, make)
}

func (p *pool[T]) get(key cache.Key, make func() (T, error)) (T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.objects[key]; ok {
		return v, nil
	}
	v, err := make()
	if err != nil {
		return v, err
	}
	if p.objects == nil {
		p.objects = map[cache.Key]T{}
	}
	p.objects[key] = v
	return v, nil
}

// all returns the objects, in no particular order.
func (p *pool[T]) all() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.objects))
}

// remove removes the objects that aren't in used, and returns them.
func (p *pool[T]) remove(used usedKeys) (removed []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, v := range p.objects {
		if !used[key] {
			removed = append(removed, v)
			delete(p.objects, key)
		}
	}
	return removed
}
