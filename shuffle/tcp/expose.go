package tcp

import "weft/shuffle"

// exposure is what a Locate asks for beside the blocks: where they lie, for reading without this side's processor.
type exposure struct {
	app        shuffle.App
	invitation bool
}

// maxInvitations is how many of one application's hold at a time. The requests that are resolved when a reader comes may ask for one each; it uses the first
// that arrives, and needs another after each failure.
const maxInvitations = 2 * maxLocates

// expose makes a block that is about to be held open readable for as long as it is; nil where it cannot be read so.
func (c *server) expose(app shuffle.App, f *shuffle.Found) []shuffle.Part {
	parts, hide, err := c.opts.Direct.Expose(app, f)
	if err != nil {
		return nil
	}
	giveBack := f.Close
	f.Close = func() {
		hide()
		if giveBack != nil {
			giveBack()
		}
	}
	return parts
}

// expose adds the parts of the blocks that have a handle.
func (m *located) expose(answer []shuffle.Located, parts [][]shuffle.Part) {
	some := false
	for i := range answer {
		n := 0
		if answer[i].Handle != 0 { // else holding it failed after it was exposed
			n = len(parts[i])
		}
		some = some || n > 0
		m.partCounts = append(m.partCounts, uint32(n))
		for _, p := range parts[i][:n] {
			m.partAddrs, m.partKeys, m.partLengths = append(m.partAddrs, p.Addr), append(m.partKeys, p.Key), append(m.partLengths, uint64(p.Length))
		}
	}
	if !some {
		m.partCounts = m.partCounts[:0]
	}
}

// invite is an invitation, where one was asked for and a block of the answer can be read so: then the application's token was right.
func (c *server) invite(want *exposure, m *located) string {
	if !want.invitation || len(m.partCounts) == 0 {
		return ""
	}
	c.invited.Lock()
	defer c.invited.Unlock()
	invitation, withdraw, err := c.opts.Direct.Invite(want.app)
	if err != nil {
		return ""
	}
	former := c.withdrawals[want.app]
	if len(former) >= maxInvitations {
		former[0]()
		former = former[1:]
	}
	if c.withdrawals == nil {
		c.withdrawals = map[shuffle.App][]func(){}
	}
	c.withdrawals[want.app] = append(former, withdraw)
	return string(invitation)
}

// withdraw ends what came of the connection's invitations.
func (c *server) withdraw() {
	for _, all := range c.withdrawals {
		for _, withdraw := range all {
			withdraw()
		}
	}
}
