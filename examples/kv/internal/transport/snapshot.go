package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"quorate.example/raft/examples/kv/internal/store"
	pb "quorate.example/raft/raftpb"
)

// A snapshot's stream is one header (the Raft message without content), any number of chunks (each
// with its CRC-32C in front), and one end (the number of records and the SHA-256 of all chunks). The
// receiver uses nothing of it before it has seen the end and found everything right.
const (
	frameHeader byte = 'H'
	frameChunk  byte = 'C'
	frameEnd    byte = 'E'

	chunkBytes = 256 << 10
	// stalled is how long a snapshot may make no progress.
	stalled = 30 * time.Second
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errNoPeer   = errors.New("transport: no such peer")
	errBadFrame = errors.New("transport: malformed snapshot")
)

// SendSnapshot streams a MsgSnap and its content in the background, and reports how that ended.
func (t *Transport) SendSnapshot(m pb.Message, content *store.Outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		content.Close()
		return
	}
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		err := t.sendSnapshot(m, content)
		err = errors.Join(err, content.Close())
		kind := "sent"
		if err != nil {
			kind = "failed"
		}
		t.cfg.Metrics.Snapshots.WithLabelValues(kind).Inc()
		t.handler.ReportSnapshot(m.To, err == nil)
	}()
}

func (t *Transport) sendSnapshot(m pb.Message, content *store.Outgoing) error {
	p := t.peer(m.To)
	if p == nil {
		return errNoPeer
	}
	ctx, cancel := context.WithCancel(t.outgoing(p.ctx, p.id))
	defer cancel()
	watchdog := time.AfterFunc(stalled, cancel)
	defer watchdog.Stop()
	stream, err := p.open(ctx, methodSnapshot)
	if err != nil {
		return err
	}
	w := &chunkWriter{
		digest: sha256.New(),
		send: func(data []byte) error {
			watchdog.Reset(stalled)
			return stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(data)})
		},
	}
	err = w.header(m)
	if err == nil {
		err = content.Each(w.record)
	}
	if err == nil {
		err = w.end()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	// After an EOF the other side has the reason.
	return closeAndWait(stream)
}

// chunkWriter cuts records into frames.
type chunkWriter struct {
	send    func([]byte) error
	digest  hash.Hash
	records uint64
	chunk   []byte // with room for kind and checksum in front
}

const chunkHead = 1 + 4

func (w *chunkWriter) header(m pb.Message) error {
	snapshot := pb.Snapshot{Metadata: m.Snapshot.Metadata}
	m.Snapshot = &snapshot
	data, err := m.Marshal()
	if err != nil {
		return err
	}
	return w.send(append([]byte{frameHeader}, data...))
}

func (w *chunkWriter) record(key, value []byte) error {
	if w.chunk == nil {
		w.chunk = make([]byte, chunkHead, chunkBytes+chunkBytes/4)
	}
	w.chunk = binary.AppendUvarint(w.chunk, uint64(len(key)))
	w.chunk = append(w.chunk, key...)
	w.chunk = binary.AppendUvarint(w.chunk, uint64(len(value)))
	w.chunk = append(w.chunk, value...)
	w.records++
	if len(w.chunk) < chunkBytes {
		return nil
	}
	return w.flush()
}

func (w *chunkWriter) flush() error {
	if w.chunk == nil {
		return nil
	}
	body := w.chunk[chunkHead:]
	w.chunk[0] = frameChunk
	binary.BigEndian.PutUint32(w.chunk[1:], crc32.Checksum(body, castagnoli))
	w.digest.Write(body)
	data := w.chunk
	w.chunk = nil // gRPC may still hold it
	return w.send(data)
}

func (w *chunkWriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	data := binary.BigEndian.AppendUint64([]byte{frameEnd}, w.records)
	return w.send(w.digest.Sum(data))
}

// receiveSnapshot serves one snapshot's stream.
func (t *Transport) receiveSnapshot(_ any, stream grpc.ServerStream) error {
	from, err := t.admit(stream.Context())
	if err != nil {
		return err
	}
	staging, err := t.handler.NewStaging()
	if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	r := &chunkReader{digest: sha256.New(), put: staging.Put}
	if err := r.readAll(stream); err != nil {
		return errors.Join(status.Error(codes.DataLoss, err.Error()), staging.Discard())
	}
	if r.message.To != t.cfg.MemberID || r.message.From != from {
		staging.Discard()
		return status.Errorf(codes.InvalidArgument, "snapshot from member %d for member %d",
			r.message.From, r.message.To)
	}
	if err := t.handler.ReceiveSnapshot(stream.Context(), r.message, staging); err != nil {
		return err
	}
	return stream.SendMsg(mem.BufferSlice{mem.SliceBuffer{0}})
}

// chunkReader puts together and checks what chunkWriter cut.
type chunkReader struct {
	put     func(key, value []byte) error
	digest  hash.Hash
	records uint64
	message pb.Message
}

// readAll reads the stream up to its end frame.
func (r *chunkReader) readAll(stream grpc.ServerStream) error {
	var f frame
	if err := stream.RecvMsg(&f); err != nil {
		return err
	}
	if err := r.readHeader(f.data); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(&f); err != nil {
			return err
		}
		if len(f.data) > 0 && f.data[0] == frameEnd {
			return r.readEnd(f.data[1:])
		}
		if err := r.readChunk(f.data); err != nil {
			return err
		}
	}
}

func (r *chunkReader) readHeader(data []byte) error {
	if len(data) == 0 || data[0] != frameHeader {
		return fmt.Errorf("%w: no header", errBadFrame)
	}
	if err := decodePeerMessage(data[1:], &r.message); err != nil {
		return err
	}
	if r.message.Type != pb.MsgSnap || r.message.Snapshot == nil {
		return fmt.Errorf("%w: the header is no MsgSnap", errBadFrame)
	}
	return nil
}

func (r *chunkReader) readChunk(data []byte) error {
	if len(data) < chunkHead || data[0] != frameChunk {
		return fmt.Errorf("%w: no chunk", errBadFrame)
	}
	body := data[chunkHead:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[1:]) {
		return fmt.Errorf("%w: checksum of a chunk", errBadFrame)
	}
	r.digest.Write(body)
	for len(body) > 0 {
		var key, value []byte
		var ok bool
		if key, body, ok = cutPrefixed(body); !ok {
			return fmt.Errorf("%w: length of a key", errBadFrame)
		}
		if value, body, ok = cutPrefixed(body); !ok {
			return fmt.Errorf("%w: length of a value", errBadFrame)
		}
		r.records++
		if err := r.put(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *chunkReader) readEnd(data []byte) error {
	if len(data) != 8+sha256.Size || binary.BigEndian.Uint64(data) != r.records {
		return fmt.Errorf("%w: number of records", errBadFrame)
	}
	if !bytes.Equal(data[8:], r.digest.Sum(nil)) {
		return fmt.Errorf("%w: checksum of the whole", errBadFrame)
	}
	return nil
}

// cutPrefixed splits off a byte string that has its length in front.
func cutPrefixed(data []byte) (item, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	return data[n : n+int(size)], data[n+int(size):], true
}
