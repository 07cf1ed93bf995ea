package rafttest

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"quorate.example/raft"
	"quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// A RawNode cannot be cloned or compared, and the core shall not carry code for it that only an
// explorer needs. So both are done here from the outside, by the types of its fields, whatever these
// are: a field that is added to the core tomorrow is copied and compared without a change here.

// shape is what copying and comparing have to know of a type.
type shape struct {
	typ    reflect.Type
	links  []linked // what a plain copy of the memory would share
	values []valued // what tells two values apart
	window *windowShape
}

// linked is a place in a value that leads to other memory.
type linked struct {
	offset uintptr
	kind   reflect.Kind // Pointer, Slice, Interface, or Struct for a queue
	typ    reflect.Type
	to     *shape // what a pointer or the elements of a slice are
	queue  *queueShape
}

// valued is a place in a value that is compared.
type valued struct {
	offset uintptr
	kind   reflect.Kind
	typ    reflect.Type
	size   uintptr
	to     *shape
	queue  *queueShape
}

func (l *linked) isBytes() bool {
	return l.kind == reflect.Slice && l.typ.Elem().Kind() == reflect.Uint8
}

// shapes knows the types that were met so far.
type shapes struct {
	known map[reflect.Type]*shape
	skip  map[string]bool // fields that are not compared, as type.field
}

// notCompared lists fields that do not decide what a member does next: its constant configuration, by how
// much memory grows, and what is made again if it is not there. Of what is left out in error, TestStatesThatCountAsOneGoOnAlike tells.
var notCompared = []string{"raft.cfg", "raft.logger", "logTail.chunk", "outbox.emitted", "pendingReads.context"}

func newShapes(skip ...string) *shapes {
	s := &shapes{known: map[reflect.Type]*shape{}, skip: map[string]bool{}}
	for _, name := range append(append([]string{}, notCompared...), skip...) {
		s.skip[name] = true
	}
	return s
}

var (
	storageType = reflect.TypeOf((*raft.Storage)(nil)).Elem()
	windowType  = reflect.TypeOf(tracker.Inflights{})
	entryType   = reflect.TypeOf(raftpb.Entry{})
)

// of returns the shape of t.
func (s *shapes) of(t reflect.Type) *shape {
	if known := s.known[t]; known != nil {
		return known
	}
	sh := &shape{typ: t}
	s.known[t] = sh // before its fields: types may contain themselves
	s.add(sh, t, 0, true)
	if t.PkgPath() == entryType.PkgPath() {
		// The bytes of messages and entries are never changed, nor is anything put behind them.
		sh.links = slices.DeleteFunc(sh.links, func(l linked) bool { return l.isBytes() })
	}
	if t == windowType {
		sh.window = newWindowShape(t)
	}
	return sh
}

// add adds what stands at offset and is a t.
func (s *shapes) add(sh *shape, t reflect.Type, offset uintptr, compared bool) {
	value := valued{offset: offset, kind: t.Kind(), typ: t, size: t.Size()}
	to := linked{offset: offset, kind: t.Kind(), typ: t}
	switch t.Kind() {
	case reflect.Struct:
		if q := s.newQueueShape(t); q != nil {
			value.queue, to.queue = q, q
			sh.links = append(sh.links, to)
			if compared {
				sh.values = append(sh.values, value)
			}
			return
		}
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			s.add(sh, f.Type, offset+f.Offset, compared && !s.skip[t.Name()+"."+f.Name])
		}
		return
	case reflect.Array:
		for i := 0; i < t.Len(); i++ {
			s.add(sh, t.Elem(), offset+uintptr(i)*t.Elem().Size(), compared)
		}
		return
	case reflect.Pointer:
		value.to = s.of(t.Elem())
		to.to = value.to
		sh.links = append(sh.links, to)
	case reflect.Slice:
		value.to = s.of(t.Elem())
		to.to = value.to
		sh.links = append(sh.links, to)
	case reflect.Interface:
		if t == storageType {
			sh.links = append(sh.links, to)
		}
		return // what the host brings is no state of the member
	case reflect.Func:
		return
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		panic(fmt.Sprintf("rafttest: the explorer cannot copy a %v", t))
	}
	if compared {
		sh.values = append(sh.values, value)
	}
}

// copying is one deep copy. Two pointers to one value stay two pointers to one value.
type copying struct {
	storage raft.Storage // takes the place of the storage of the original
	done    []copied
}

type copied struct{ from, to unsafe.Pointer }

// copyNode returns a RawNode that behaves as from does, over its own storage, which must hold the same.
func (s *shapes) copyNode(from *raft.RawNode, storage raft.Storage) *raft.RawNode {
	c := copying{storage: storage}
	return (*raft.RawNode)(c.pointer(unsafe.Pointer(from), s.of(reflect.TypeOf(*from))))
}

func (c *copying) pointer(from unsafe.Pointer, sh *shape) unsafe.Pointer {
	for _, d := range c.done {
		if d.from == from {
			return d.to
		}
	}
	fresh := reflect.New(sh.typ)
	fresh.Elem().Set(reflect.NewAt(sh.typ, from).Elem())
	to := fresh.UnsafePointer()
	c.done = append(c.done, copied{from, to})
	c.relink(to, sh)
	return to
}

// relink makes what at leads to its own.
func (c *copying) relink(at unsafe.Pointer, sh *shape) {
	for i := range sh.links {
		l := &sh.links[i]
		place := unsafe.Add(at, l.offset)
		switch l.kind {
		case reflect.Pointer:
			if from := *(*unsafe.Pointer)(place); from != nil {
				*(*unsafe.Pointer)(place) = c.pointer(from, l.to)
			}
		case reflect.Slice:
			if l.isBytes() {
				data := (*[]byte)(place)
				*data = (*data)[:len(*data):len(*data)]
				continue
			}
			c.slice(reflect.NewAt(l.typ, place).Elem(), l)
		case reflect.Interface:
			*(*raft.Storage)(place) = c.storage
		case reflect.Struct:
			room, taken := l.queue.parts(place)
			room.Set(room.Slice(int(taken.Int()), room.Len()))
			taken.SetInt(0)
			c.slice(room, &l.queue.room)
		}
	}
}

// slice gives a slice its own memory, without room to spare: two copies must never append into the same.
func (c *copying) slice(place reflect.Value, l *linked) {
	n := place.Len()
	if n == 0 {
		place.SetZero()
		return
	}
	fresh := reflect.MakeSlice(l.typ, n, n)
	reflect.Copy(fresh, place)
	place.Set(fresh)
	if len(l.to.links) == 0 {
		return
	}
	first := fresh.UnsafePointer()
	for i := 0; i < n; i++ {
		c.relink(unsafe.Add(first, uintptr(i)*l.to.typ.Size()), l.to)
	}
}

// printNode appends to text what tells node apart from one that may behave differently.
func (s *shapes) printNode(text []byte, node *raft.RawNode) []byte {
	return s.of(reflect.TypeOf(*node)).print(text, unsafe.Pointer(node))
}

func (sh *shape) print(text []byte, at unsafe.Pointer) []byte {
	if sh.window != nil {
		return sh.window.print(text, at)
	}
	for i := range sh.values {
		text = sh.values[i].print(text, unsafe.Add(at, sh.values[i].offset))
	}
	return text
}

func (v *valued) print(text []byte, place unsafe.Pointer) []byte {
	switch v.kind {
	case reflect.Pointer:
		to := *(*unsafe.Pointer)(place)
		if to == nil || v.to.window != nil && (*tracker.Inflights)(to).Count() == 0 {
			return append(text, 0) // a window that is empty is as none
		}
		n := len(text)
		text = v.to.print(append(text, 1), to)
		if allZero(text[n+1:]) {
			text = append(text[:n], 0) // a part that has nothing in it is as none, too
		}
		return text
	case reflect.String:
		data := *(*string)(place)
		return append(binary.AppendUvarint(text, uint64(len(data))), data...)
	case reflect.Slice:
		return v.printSlice(text, place)
	case reflect.Struct:
		room, taken := v.queue.parts(place)
		waiting := reflect.New(room.Type())
		waiting.Elem().Set(room.Slice(int(taken.Int()), room.Len()))
		return v.queue.waiting.printSlice(text, waiting.UnsafePointer())
	}
	var n uint64
	switch v.size {
	case 1:
		n = uint64(*(*uint8)(place))
	case 2:
		n = uint64(*(*uint16)(place))
	case 4:
		n = uint64(*(*uint32)(place))
	default:
		n = *(*uint64)(place)
	}
	return binary.AppendUvarint(text, n)
}

func allZero(text []byte) bool {
	for _, b := range text {
		if b != 0 {
			return false
		}
	}
	return true
}

func (v *valued) printSlice(text []byte, place unsafe.Pointer) []byte {
	if v.to.typ.Kind() == reflect.Uint8 {
		data := *(*[]byte)(place)
		return append(binary.AppendUvarint(text, uint64(len(data))), data...)
	}
	slice := reflect.NewAt(v.typ, place).Elem()
	n := slice.Len()
	text = binary.AppendUvarint(text, uint64(n))
	if n == 0 {
		return text
	}
	first := slice.UnsafePointer()
	for i := 0; i < n; i++ {
		text = v.to.print(text, unsafe.Add(first, uintptr(i)*v.to.typ.Size()))
	}
	return text
}

// windowShape knows the ring of tracker.Inflights. What it holds counts, and not where in the ring.
type windowShape struct{ ring, head, count reflect.StructField }

// newWindowShape returns nil if the fields are others by now. Then all of them are compared, which is
// as right and takes more states.
func newWindowShape(t reflect.Type) *windowShape {
	var w windowShape
	var found [3]bool
	w.ring, found[0] = t.FieldByName("ring")
	w.head, found[1] = t.FieldByName("head")
	w.count, found[2] = t.FieldByName("count")
	if found != [3]bool{true, true, true} || w.ring.Type.Kind() != reflect.Slice ||
		!isInt(w.head.Type) || !isInt(w.count.Type) {
		return nil
	}
	return &w
}

func (w *windowShape) print(text []byte, at unsafe.Pointer) []byte {
	ring := reflect.NewAt(w.ring.Type, unsafe.Add(at, w.ring.Offset)).Elem()
	head := int(reflect.NewAt(w.head.Type, unsafe.Add(at, w.head.Offset)).Elem().Int())
	count := int(reflect.NewAt(w.count.Type, unsafe.Add(at, w.count.Offset)).Elem().Int())
	text = binary.AppendUvarint(text, uint64(count))
	for i := 0; i < count; i++ {
		slot := ring.Index((head + i) % ring.Len())
		for f := 0; f < slot.NumField(); f++ {
			text = binary.AppendUvarint(text, slot.Field(f).Uint())
		}
	}
	return text
}

// queueShape knows the queues of the outbox. What was taken from them belongs to the host, and only lies
// before what waits.
type queueShape struct {
	room    linked
	waiting valued
	taken   reflect.StructField
}

// newQueueShape returns nil if t is no such queue. If they look different by now, all of their memory is
// copied and compared.
func (s *shapes) newQueueShape(t reflect.Type) *queueShape {
	room, hasRoom := t.FieldByName("room")
	taken, hasTaken := t.FieldByName("taken")
	if !strings.HasPrefix(t.Name(), "lane") || !hasRoom || !hasTaken || room.Type.Kind() != reflect.Slice || !isInt(taken.Type) {
		return nil
	}
	element := s.of(room.Type.Elem())
	return &queueShape{
		room:    linked{offset: room.Offset, kind: reflect.Slice, typ: room.Type, to: element},
		waiting: valued{kind: reflect.Slice, typ: room.Type, size: room.Type.Size(), to: element},
		taken:   taken,
	}
}

func (q *queueShape) parts(at unsafe.Pointer) (room, taken reflect.Value) {
	return reflect.NewAt(q.room.typ, unsafe.Add(at, q.room.offset)).Elem(),
		reflect.NewAt(q.taken.Type, unsafe.Add(at, q.taken.Offset)).Elem()
}

func isInt(t reflect.Type) bool {
	return t.Kind() == reflect.Int || t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64
}
