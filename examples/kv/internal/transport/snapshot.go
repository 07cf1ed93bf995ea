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

	pb "quorate.example/raft/raftpb"
)

// A snapshot's stream is one header (the Raft message without content), any number of chunks (each
// with its CRC-32C in front), and one end (the number of bytes and the SHA-256 of all chunks). The
// receiver's content ends well only if the end was seen and everything is right.
const (
	frameHeader byte = 'H'
	frameChunk  byte = 'C'
	frameEnd    byte = 'E'

	chunkBytes = 256 << 10
	// stalled is how long a snapshot may make no progress.
	stalled = 30 * time.Second
	// installing is how long the other side may take to put it into use.
	installing = 5 * time.Minute
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errNoPeer   = errors.New("transport: no such peer")
	errBadFrame = errors.New("transport: malformed snapshot")
)

// SendSnapshot implements host.Transport.
func (t *Transport) SendSnapshot(ctx context.Context, m pb.Message, content io.WriterTo) error {
	p := t.peer(m.To)
	if p == nil {
		return errNoPeer
	}
	ctx, cancel := context.WithCancel(t.outgoing(ctx, p.id))
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
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
		_, err = content.WriteTo(w)
	}
	if err == nil {
		err = w.end()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	// The other side may take its time with the installation. After an EOF it has the reason.
	watchdog.Reset(installing)
	_, err = closeAndWait(stream)
	return err
}

// chunkWriter cuts bytes into frames.
type chunkWriter struct {
	send   func([]byte) error
	digest hash.Hash
	bytes  uint64
	chunk  []byte // with room for kind and checksum in front
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

// Write implements io.Writer.
func (w *chunkWriter) Write(data []byte) (int, error) {
	n := len(data)
	for len(data) > 0 {
		if w.chunk == nil {
			w.chunk = make([]byte, chunkHead, chunkHead+chunkBytes)
		}
		part := min(len(data), cap(w.chunk)-len(w.chunk))
		w.chunk = append(w.chunk, data[:part]...)
		data = data[part:]
		if len(w.chunk) == cap(w.chunk) {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *chunkWriter) flush() error {
	if w.chunk == nil {
		return nil
	}
	body := w.chunk[chunkHead:]
	w.chunk[0] = frameChunk
	binary.BigEndian.PutUint32(w.chunk[1:], crc32.Checksum(body, castagnoli))
	w.digest.Write(body)
	w.bytes += uint64(len(body))
	data := w.chunk
	w.chunk = nil // gRPC may still hold it
	return w.send(data)
}

func (w *chunkWriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	data := binary.BigEndian.AppendUint64([]byte{frameEnd}, w.bytes)
	return w.send(w.digest.Sum(data))
}

// receiveSnapshot serves one snapshot's stream.
func (t *Transport) receiveSnapshot(_ any, stream grpc.ServerStream) error {
	from, err := t.admit(stream.Context())
	if err != nil {
		return err
	}
	r := &chunkReader{digest: sha256.New(), next: func(f *frame) error { return stream.RecvMsg(f) }}
	if err := r.readHeader(); err != nil {
		return status.Error(codes.DataLoss, err.Error())
	}
	if r.message.To != t.cfg.MemberID || r.message.From != from {
		return status.Errorf(codes.InvalidArgument, "snapshot from member %d for member %d",
			r.message.From, r.message.To)
	}
	if err := t.handler.ReceiveSnapshot(stream.Context(), r.message, r); err != nil {
		if errors.Is(err, errBadFrame) {
			err = status.Error(codes.DataLoss, err.Error())
		}
		return err
	}
	return stream.SendMsg(mem.BufferSlice{mem.SliceBuffer{0}})
}

// chunkReader puts together and checks what chunkWriter cut.
type chunkReader struct {
	next    func(*frame) error
	digest  hash.Hash
	bytes   uint64
	message pb.Message
	frame   frame
	rest    []byte // of the frame
	err     error
}

// Read implements io.Reader.
func (r *chunkReader) Read(data []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		if r.err = r.next(&r.frame); r.err != nil {
			r.err = fmt.Errorf("%w: it ends too soon: %w", errBadFrame, noEOF(r.err))
			break
		}
		r.rest, r.err = r.open(r.frame.data)
	}
	n := copy(data, r.rest)
	r.rest = r.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// noEOF keeps an end in the middle from being taken for the end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// open returns what a frame holds, io.EOF if it is a good end.
func (r *chunkReader) open(data []byte) ([]byte, error) {
	if len(data) > 0 && data[0] == frameEnd {
		return nil, r.checkEnd(data[1:])
	}
	return r.chunk(data)
}

func (r *chunkReader) readHeader() error {
	if err := r.next(&r.frame); err != nil {
		return err
	}
	data := r.frame.data
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

func (r *chunkReader) chunk(data []byte) ([]byte, error) {
	if len(data) < chunkHead || data[0] != frameChunk {
		return nil, fmt.Errorf("%w: no chunk", errBadFrame)
	}
	body := data[chunkHead:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[1:]) {
		return nil, fmt.Errorf("%w: checksum of a chunk", errBadFrame)
	}
	r.digest.Write(body)
	r.bytes += uint64(len(body))
	return body, nil
}

func (r *chunkReader) checkEnd(data []byte) error {
	if len(data) != 8+sha256.Size || binary.BigEndian.Uint64(data) != r.bytes {
		return fmt.Errorf("%w: number of bytes", errBadFrame)
	}
	if !bytes.Equal(data[8:], r.digest.Sum(nil)) {
		return fmt.Errorf("%w: checksum of the whole", errBadFrame)
	}
	return io.EOF
}
