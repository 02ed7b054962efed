package shuffle

import "context"

// Service answers requests for the blocks of this daemon's executors: the Source of every transport.
type Service struct {
	registry *Registry
}

var _ Source = (*Service)(nil)

// NewService serves what is in registry.
func NewService(registry *Registry) *Service { return &Service{registry: registry} }

// App implements Source.
func (s *Service) App(id string) (App, error) { return s.registry.app(id) }

// Locate resolves the blocks of req in one pass: registered map outputs from their files, everything else by asking the executor.
// A request for an executor that is not here, or with a wrong token, has that as the error of every block. The error of Locate is the
// end of ctx, and then nothing is left to close.
func (s *Service) Locate(ctx context.Context, req *LocateRequest) ([]Found, error) {
	found := make([]Found, len(req.Blocks))
	e, refused := s.registry.find(req.App, req.Executor)
	if refused != nil {
		for i := range found {
			found[i].Err = refused
		}
		return found, nil
	}
	err := s.locate(ctx, e, req, found)
	if err != nil {
		closeFound(found)
		return nil, err
	}
	return found, nil
}

func (s *Service) locate(ctx context.Context, e *Executor, req *LocateRequest, found []Found) error {
	eager := newEagerBlocks(req)
	defer eager.end()
	blocks := req.Blocks
	var owned []int // blocks that the executor is asked for
	for i := 0; i < len(blocks); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := sameMapOutput(blocks[i:])
		m := (*mapOutput)(nil)
		if blocks[i].IsShuffle() {
			m = e.mapOutput(blocks[i].Shuffle, blocks[i].Map)
		}
		if m != nil {
			s.registry.outputs.locate(ctx, e.dirsOf(m), m, blocks[i:i+n], eager, found[i:i+n])
		} else {
			for j := i; j < i+n; j++ {
				owned = append(owned, j)
			}
		}
		i += n
	}
	s.askOwner(ctx, e, blocks, owned, found)
	return context.Cause(ctx)
}

// sameMapOutput is how many blocks at the beginning are of one map output; 1 for a block of none.
func sameMapOutput(blocks []BlockID) int {
	n := 1
	for n < len(blocks) && blocks[0].IsShuffle() && blocks[n].IsShuffle() &&
		blocks[n].Shuffle == blocks[0].Shuffle && blocks[n].Map == blocks[0].Map {
		n++
	}
	return n
}

func closeFound(found []Found) {
	for _, f := range found {
		if f.Err == nil && f.Close != nil {
			f.Close()
		}
	}
}
