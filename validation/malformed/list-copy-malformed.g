kernel-1.traceg
MemcpyHtoD,xyz,3
