# SPDX-License-Identifier: MIT
kdb-c += kdb/engine.c kdb/parse.c kdb/arg.c kdb/row.c kdb/render.c kdb/text.c
kdb-c += kdb/prompt.c kdb/line.c kdb/complete.c
kdb-c += kdb/cmd_help.c kdb/cmd_object.c kdb/cmd_kpage.c kdb/cmd_space.c kdb/cmd_check.c kdb/cmd_control.c
kdb-c += kdb/cmd_sched.c kdb/cmd_memory.c kdb/cmd_map.c kdb/cmd_trace.c kdb/cmd_why.c
kdb-c += kdb/cmd_explain.c kdb/cmd_revoke.c kdb/cmd_leaks.c kdb/cmd_self.c
kdb-c += kdb/graph.c kdb/cmd_reach.c kdb/cmd_hash.c kdb/cmd_bp.c kdb/usersym.c kdb/cmd_script.c kdb/cmd_prof.c kdb/cmd_tour.c
# kdb needs the debug core, which arch/host does not have.
host-omit += $(kdb-c)
