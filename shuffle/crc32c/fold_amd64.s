#include "textflag.h"

// Z0 to Z3 hold one block, Z5 the two factors in each of its four lanes.

#define FOLD(at, z, product) \
	VPCLMULQDQ $0x00, Z5, z, product \
	VPCLMULQDQ $0x11, Z5, z, z       \
	VPTERNLOGQ $0x96, at(SI), product, z // the sum of all three

// func fold(last *[block]byte, data *byte, n int, state uint32, distance *[2]uint64)
TEXT ·fold(SB), NOSPLIT, $0-40
	MOVQ last+0(FP), DI
	MOVQ data+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL state+24(FP), AX
	MOVQ distance+32(FP), DX

	VBROADCASTI32X4 (DX), Z5
	VMOVDQU64 0(SI), Z0
	VMOVDQU64 64(SI), Z1
	VMOVDQU64 128(SI), Z2
	VMOVDQU64 192(SI), Z3
	VMOVD     AX, X4
	VPXORQ    Z4, Z0, Z0

next:
	ADDQ $256, SI
	SUBQ $256, CX
	JZ   done
	FOLD(0, Z0, Z6)
	FOLD(64, Z1, Z7)
	FOLD(128, Z2, Z8)
	FOLD(192, Z3, Z9)
	JMP  next

done:
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VZEROUPPER
	RET
