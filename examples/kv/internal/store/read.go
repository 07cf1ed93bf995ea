package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Item is one key with its value and the revision that wrote it.
type Item struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Get returns the item at key and whether it exists.
func (s *Store) Get(key string) (Item, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, err := s.get(stateKey(s.generation, kindKey, key))
	if err != nil || value == nil {
		return Item{}, false, err
	}
	item, err := decodeItem(key, value)
	return item, err == nil, err
}

// ListOptions says which items List returns.
type ListOptions struct {
	// Prefix is what all keys start with.
	Prefix string
	// After, when not empty, leaves out all keys up to and including it: the way to ask for the next page.
	After string
	// Limit bounds the number of items and MaxBytes their size; at least one item is returned.
	Limit    int
	MaxBytes int
	// Values asks for the values, which are left nil otherwise.
	Values bool
}

// Page is what List returns: items of one moment, in the order of their keys.
type Page struct {
	Items []Item
	// Revision is the store's revision at that moment.
	Revision uint64
	// More reports whether there are items after the last one.
	More bool
}

// List returns the items that opts asks for.
func (s *Store) List(opts ListOptions) (Page, error) {
	it, generation, err := s.stateIterator()
	if err != nil {
		return Page{}, err
	}
	page, err := list(it, generation, opts)
	return page, errors.Join(err, it.Close())
}

// Peers returns the addresses of all members, as of the last entry applied.
func (s *Store) Peers() (map[uint64]string, error) {
	it, generation, err := s.stateIterator()
	if err != nil {
		return nil, err
	}
	peers := map[uint64]string{}
	prefix := stateKey(generation, kindPeer, "")
	for ok := it.SeekGE(prefix); ok && len(it.Key()) == len(prefix)+8; ok = it.Next() {
		if it.Key()[len(prefix)-1] != kindPeer {
			break
		}
		peers[binary.BigEndian.Uint64(it.Key()[len(prefix):])] = string(it.Value())
	}
	return peers, errors.Join(it.Error(), it.Close())
}

// stateIterator returns an iterator over the state of this moment. Once it exists the state may be
// replaced without it noticing.
func (s *Store) stateIterator() (*pebble.Iterator, uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	prefix := generationPrefix(s.generation)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	return it, s.generation, err
}

func list(it *pebble.Iterator, generation uint64, opts ListOptions) (Page, error) {
	page := Page{}
	if it.SeekGE(stateKey(generation, kindRevision, "")) {
		page.Revision = binary.BigEndian.Uint64(it.Value())
	}
	low := stateKey(generation, kindKey, opts.Prefix)
	end := string(prefixEnd(low))
	if after := append(stateKey(generation, kindKey, opts.After), 0); opts.After != "" &&
		string(after) > string(low) {
		low = after
	}
	head := len(stateKey(generation, kindKey, ""))
	bytes := 0
	for ok := it.SeekGE(low); ok && string(it.Key()) < end; ok = it.Next() {
		if n := len(page.Items); n > 0 && (n >= opts.Limit || bytes > opts.MaxBytes) {
			page.More = true
			break
		}
		item, err := decodeItem(string(it.Key()[head:]), it.Value())
		if err != nil {
			return page, err
		}
		item.Value = pick(opts.Values, item.Value)
		bytes += len(item.Key) + len(item.Value)
		page.Items = append(page.Items, item)
	}
	return page, it.Error()
}

// pick copies the value out of the iterator's buffer if it is wanted.
func pick(wanted bool, value []byte) []byte {
	if !wanted {
		return nil
	}
	return append([]byte{}, value...)
}

func decodeItem(key string, value []byte) (Item, error) {
	if len(value) < 8 {
		return Item{}, fmt.Errorf("store: the record of key %q is damaged", key)
	}
	return Item{Key: key, Value: value[8:], Revision: binary.BigEndian.Uint64(value)}, nil
}

// Revision returns the store revision of this moment.
func (s *Store) Revision() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, err := newHistoryReader(s.db, nil, s.generation)
	return h.revision, err
}
