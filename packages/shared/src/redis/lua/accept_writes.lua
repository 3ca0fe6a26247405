#!lua
-- Writes nothing. Because its first line declares no flags, Redis treats it as a command that writes and needs memory, and refuses it
-- whenever it would refuse such a command: memory full, disk full, read-only replica, too few replicas (Redis 7: "Eval flags").
return 1
