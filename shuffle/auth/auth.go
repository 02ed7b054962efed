// Package auth computes what two daemons show each other to prove that they have an application's secret, over a connection between them.
//
// It refuses to do I/O, to keep a secret, and to know how one gets to a daemon. proto/peer.proto says when a proof is sent;
// docs/design/0010-authentication.md has the bytes and the reasons.
package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Lengths in bytes.
const (
	SecretLen = 32
	NonceLen  = 32
	ProofLen  = sha256.Size
)

// Side is one of the two ends of a connection. Its proofs are made with a key of its own, so none is of use sent back.
type Side string

// The sides. The words go into the keys.
const (
	Dialler  Side = "weft peer proof 1, dialler"
	Listener Side = "weft peer proof 1, listener"
)

// Binding stands for one connection: proofs made for it are worth nothing on another.
type Binding [sha256.Size]byte

// Bind is the binding of a connection at whose beginning the two sides said this: each part counts as it was sent, so that whatever was changed
// on the way makes the sides' bindings differ. Each side has put a nonce into its part.
func Bind(dialler, listener []byte) Binding { return bind("weft peer binding 1", dialler, listener) }

func bind(label string, parts ...[]byte) (b Binding) {
	h := sha256.New()
	h.Write([]byte(label))
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(b[:0])
	return b
}

// What a TLS connection gives to its binding: keying material that is exported (RFC 5705, RFC 8446 section 7.5) under this label, without a context.
const (
	ExporterLabel = "EXPORTER-weft-peer-1"
	ExportedLen   = 32
)

// BindTLS is Bind for a connection under TLS, of which exported is what it exports. Only the two ends of one TLS connection have that in common, so
// the proofs show that nobody stands between: who ends TLS towards both sides has two connections, which export different things.
func BindTLS(exported, dialler, listener []byte) Binding {
	return bind("weft peer binding 1, tls", exported, dialler, listener)
}

// Prove is the proof of one side that it has the secret of application app, for the given request on the connection that b stands for.
func Prove(secret [SecretLen]byte, side Side, b Binding, request uint64, app string) []byte {
	key, err := hkdf.Key(sha256.New, secret[:], nil, string(side), sha256.Size)
	if err != nil {
		panic(err) // it fails for lengths that this is not
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(b[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, request))
	mac.Write([]byte(app))
	return mac.Sum(nil)
}

// Check tells whether proof is what that side would prove. It takes the same time for all proofs of the right length.
func Check(proof []byte, secret [SecretLen]byte, side Side, b Binding, request uint64, app string) bool {
	return hmac.Equal(proof, Prove(secret, side, b, request, app))
}
