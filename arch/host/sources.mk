host-c += arch/host/host.c
