package web

import "sync"

// shelf keeps some of what was made of records, by stamps of what it was made of: the newest, up to a size of all together. It is safe for
// concurrent use; what is on it is shared, and nobody changes it.
type shelf[T any] struct {
	most int // in whatever sizes are told in

	mu    sync.Mutex
	kept  map[string]kept[T]
	order []string // the oldest first
	size  int
}

type kept[T any] struct {
	what T
	size int
}

func (s *shelf[T]) get(key string) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[key]
	return k.what, ok
}

func (s *shelf[T]) put(key string, what T, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.kept[key]; there || size > s.most {
		return
	}
	if s.kept == nil {
		s.kept = map[string]kept[T]{}
	}
	s.kept[key] = kept[T]{what, size}
	s.order = append(s.order, key)
	for s.size += size; s.size > s.most; s.order = s.order[1:] {
		s.size -= s.kept[s.order[0]].size
		delete(s.kept, s.order[0])
	}
}
