package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// apartSocket names the environment variable with a bridge socket: where it is set, this process runs no tests, and is an executor.
const apartSocket = "WEFT_TEST_APART"

// apartSize is of the blocks that it fetches, of a map output with apartBlocks of them.
const (
	apartSize   = 1 << 20
	apartBlocks = 5
)

// lateBlock is what it asks for first, and has not been given when it is stopped.
var lateBlock = bytesOf(3000, 77)

// apart is an executor in a process of its own.
type apart struct {
	*bridgetest.Client
	held []bridgetest.Block // the blocks of the map output by turns
}

// beApart reads a request for the late block from in and begins it, and then one for the map output. It fetches blocks of that, one by one, until there is
// no memory for another, and says how many it holds. At the next line it says how many are right, with the late one, gives them back, fetches once more, and
// waits for the end of in.
func beApart(socket string, in io.Reader) error {
	client, err := bridgetest.Dial(socket, bridgetest.Hello("stopped", "reader"))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, late, output, lines := &apart{Client: client}, &bridgepb.Fetch{}, &bridgepb.Fetch{}, bufio.NewReader(in)
	if err := bridgetest.ReadFrame(lines, late); err != nil {
		return err
	}
	waiting, err := client.Fetch(late)
	if err != nil {
		return err
	}
	if err := bridgetest.ReadFrame(lines, output); err != nil {
		return err
	}
	for more := true; more; {
		if more, err = e.take(ctx, output); err != nil {
			return err
		}
	}
	fmt.Printf("holds %d\n", len(e.held))
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.Background(), patience) // as it may have stood still since
	defer cancel()
	last, err := waiting.Wait(ctx)
	if err != nil {
		return err
	}
	right := e.right()
	if bytes.Equal(last[0].Bytes, lateBlock) {
		right++
	}
	fmt.Printf("right %d\n", right)
	if err := e.Release(append(e.held, last...)...); err != nil {
		return err
	}
	e.held = nil
	if _, err := e.take(ctx, output); err != nil {
		return err
	}
	fmt.Printf("again %d\n", e.right())
	if err := e.Release(e.held...); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, lines)
	return err
}

// take fetches the next block and keeps it; false if there is no memory for it.
func (e *apart) take(ctx context.Context, output *bridgepb.Fetch) (bool, error) {
	blocks := output.Blocks
	one := &bridgepb.Fetch{
		PeerAddress: output.PeerAddress, PeerPort: output.PeerPort, PeerDaemonId: output.PeerDaemonId, ExecutorId: output.ExecutorId,
		Blocks: &blockpb.Blocks{}, TimeoutMs: output.TimeoutMs,
	}
	i := len(e.held) % apartBlocks
	addRange(one, blocks.ShuffleId[i], blocks.MapId[i], blocks.ReduceStart[i], blocks.ReduceEnd[i])
	got, err := e.FetchAll(ctx, one)
	if err != nil {
		return false, err
	}
	switch got[0].Reason {
	case 0:
		e.held = append(e.held, got[0])
		return true, nil
	case blockpb.Reason_REASON_NO_SPACE:
		return false, nil
	}
	return false, fmt.Errorf("block %d: %v: %s", len(e.held), got[0].Reason, got[0].Detail)
}

// right counts those that it holds and that are those of their owner.
func (e *apart) right() (n int) {
	for i, b := range e.held {
		if bytes.Equal(b.Bytes, bytesOf(apartSize, uint64(i%apartBlocks))) {
			n++
		}
	}
	return n
}
