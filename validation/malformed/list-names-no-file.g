MemcpyHtoD,0x10,3
kernel-404.traceg
