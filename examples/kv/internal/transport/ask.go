package transport

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// Ask sends a question to another member, and returns what its handler answers. Without an answer nobody knows
// whether the question arrived.
func (t *Transport) Ask(ctx context.Context, to uint64, question []byte) ([]byte, error) {
	p := t.peer(to)
	if p == nil {
		return nil, errNoPeer
	}
	ctx, cancel := context.WithCancel(t.outgoing(ctx, to))
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	stream, err := p.open(ctx, methodAsk)
	if err != nil {
		return nil, err
	}
	err = stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(question)})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return closeAndWait(stream)
}

// receiveQuestion serves one question.
func (t *Transport) receiveQuestion(_ any, stream grpc.ServerStream) error {
	if _, err := t.admit(stream.Context()); err != nil {
		return err
	}
	var question frame
	if err := stream.RecvMsg(&question); err != nil {
		return err
	}
	answer, err := t.handler.Answer(stream.Context(), question.data)
	if err != nil {
		return err
	}
	return stream.SendMsg(mem.BufferSlice{mem.SliceBuffer(answer)})
}
