// Package watch says when files may have changed.
package watch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settle   = 200 * time.Millisecond // without an event, after which a change counts as finished
	longest  = 2 * time.Second        // from the first event of a change: some files change all the time
	interval = 10 * time.Second       // between two signals without an event: not every file system has events
)

// A Watcher watches files and folders. It sees what changes their contents: a write, a file that replaces another, and a symbolic link on
// the way that leads elsewhere, as of a volume of Kubernetes.
type Watcher struct {
	changes chan struct{}
	set     chan []string
	events  *fsnotify.Watcher // nil: the system has none left
	log     *slog.Logger

	paths   map[string]bool // an event of one of these, or in one, counts
	folders map[string]bool // that are watched
}

// New returns a Watcher of no files. It works until ctx ends.
func New(ctx context.Context, log *slog.Logger) *Watcher {
	w := &Watcher{changes: make(chan struct{}, 1), set: make(chan []string), log: log}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the system can't watch files: they are looked at every 10 seconds", "error", err)
		go w.run(ctx, nil, nil)
		return w
	}
	w.events = events
	context.AfterFunc(ctx, func() { events.Close() })
	go w.run(ctx, events.Events, events.Errors)
	return w
}

// Set replaces the files and folders that are watched.
func (w *Watcher) Set(ctx context.Context, names []string) {
	select {
	case w.set <- names:
	case <-ctx.Done():
	}
}

// Changes receives a value when a file may have changed: after Set, after events have ceased for 200 ms, and every 10 seconds.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

func (w *Watcher) run(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) {
	poll := time.NewTicker(interval)
	defer poll.Stop()
	var settled <-chan time.Time
	var first time.Time // of the events that haven't settled
	for {
		select {
		case <-ctx.Done():
			return
		case names := <-w.set:
			w.watch(names)
			w.signal() // a file may have changed before it was watched
		case e, ok := <-events:
			if !ok {
				return
			}
			if !w.concerns(e.Name) {
				continue
			}
			if settled == nil {
				first = time.Now()
			}
			settled = time.After(min(settle, longest-time.Since(first)))
		case err := <-errs: // some events are lost
			w.log.Debug("watching files", "error", err)
			settled = time.After(settle)
		case <-settled:
			settled = nil
			w.signal()
		case <-poll.C:
			w.signal()
		}
	}
}

func (w *Watcher) signal() {
	select {
	case w.changes <- struct{}{}:
	default: // the one before wasn't received yet
	}
}

func (w *Watcher) concerns(name string) bool { return w.paths[name] || w.paths[filepath.Dir(name)] }

// watch watches the folders of the names, and no others.
func (w *Watcher) watch(names []string) {
	w.paths = map[string]bool{}
	folders := map[string]bool{}
	for _, name := range names {
		for _, path := range way(name) {
			w.paths[path] = true
			folders[filepath.Dir(path)] = true
		}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			folders[absolute(name)] = true
		}
	}
	if w.events == nil {
		return
	}
	for folder := range w.folders {
		if !folders[folder] {
			w.events.Remove(folder) // it fails if the folder is gone, and with it the watch
		}
	}
	for folder := range folders {
		if err := w.events.Add(folder); err != nil {
			w.log.Debug("a folder can't be watched: it is looked at every 10 seconds", "folder", folder, "error", err)
		}
	}
	w.folders = folders
}

// maxLinks bounds the symbolic links on the way to a file, as Linux does.
const maxLinks = 40

// way returns the paths whose change can change what a name leads to: the name itself, and each symbolic link on the way. In place of a
// path whose folder doesn't exist it has the first folder that is missing.
func way(name string) (paths []string) {
	name = absolute(name)
	for range maxLinks {
		paths = append(paths, firstMissing(name))
		link, target := firstLink(name)
		if link == "" {
			return paths
		}
		paths = append(paths, link)
		name = target
	}
	return paths
}

// firstLink returns the first symbolic link in a path, and the path with the link replaced by its target; link is empty without one.
func firstLink(name string) (link, target string) {
	for at := 1; at <= len(name); at++ {
		if at < len(name) && name[at] != filepath.Separator {
			continue
		}
		to, err := os.Readlink(name[:at])
		if err != nil {
			continue
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(name[:at]), to)
		}
		return name[:at], filepath.Join(to, name[at:])
	}
	return "", ""
}

// firstMissing returns the name, or its first folder that doesn't exist.
func firstMissing(name string) string {
	for {
		if _, err := os.Stat(filepath.Dir(name)); err == nil || filepath.Dir(name) == name {
			return name
		}
		name = filepath.Dir(name)
	}
}

func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return filepath.Clean(name)
}
