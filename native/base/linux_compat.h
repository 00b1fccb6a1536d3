// linux_compat.h: names from the kernel's interface that the headers of old systems lack.
// Thread: any; constants only.
// Kernel: the numbers are those of linux/udp.h, linux/netlink.h, linux/rtnetlink.h and
//         asm/unistd.h, and cannot change. A kernel that does not know one refuses it, and the
//         caller does without.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/udp.h>
#include <sys/syscall.h>

// Linux 4.18.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

// Linux 5.0.
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// Linux 4.3.
#ifndef NETLINK_CAP_ACK
#define NETLINK_CAP_ACK 10
#endif

// Linux 4.13.
#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif

// Linux 5.3. The same on every architecture.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
