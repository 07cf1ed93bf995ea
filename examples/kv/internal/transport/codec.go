package transport

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"

	pb "quorate.example/raft/raftpb"
)

// decodePeerMessage decodes what a peer sent. Nobody has looked at these bytes before.
func decodePeerMessage(data []byte, m *pb.Message) error {
	return pb.UnmarshalPeer(data, m)
}

// buffers hold messages on their way. gRPC's own pool clears what it hands out, up to 64 KiB for a message, and
// these are written from end to end.
var buffers = &bufferPool{}

// bufferPool is a mem.BufferPool.
type bufferPool struct{ free sync.Pool }

// keptBuffer is the size up to which buffers are used again.
const keptBuffer = 1 << 20

// Get implements mem.BufferPool.
func (p *bufferPool) Get(length int) *[]byte {
	b, _ := p.free.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	if cap(*b) < length {
		*b = make([]byte, length)
	}
	*b = (*b)[:length]
	return b
}

// Put implements mem.BufferPool.
func (p *bufferPool) Put(b *[]byte) {
	if cap(*b) <= keptBuffer {
		p.free.Put(b)
	}
}

// codec passes bytes through gRPC as they are: Raft's messages have an encoding of their own.
type codec struct{}

// received is what the codec decodes into; data is valid during the call only.
type received interface{ decode(data []byte) error }

// Name implements encoding.CodecV2.
func (codec) Name() string { return "quorate" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(mem.BufferSlice)
	if !ok {
		return nil, fmt.Errorf("transport: cannot send a %T", v)
	}
	return out, nil
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(received)
	if !ok {
		return fmt.Errorf("transport: cannot receive a %T", v)
	}
	buffer := data.MaterializeToBuffer(buffers)
	defer buffer.Free()
	return in.decode(buffer.ReadOnlyData())
}

// message receives one Raft message.
type message struct{ pb.Message }

func (m *message) decode(data []byte) error {
	m.Message = pb.Message{}
	return decodePeerMessage(data, &m.Message)
}

// frame receives one piece of a snapshot.
type frame struct{ data []byte }

func (f *frame) decode(data []byte) error {
	f.data = append(f.data[:0], data...)
	return nil
}

// encode returns m in a buffer of the pool, which gRPC frees.
func encode(m *pb.Message) (mem.BufferSlice, error) {
	buffer := buffers.Get(m.Size())
	if _, err := m.MarshalToSizedBuffer(*buffer); err != nil {
		buffers.Put(buffer)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, buffers)}, nil
}
