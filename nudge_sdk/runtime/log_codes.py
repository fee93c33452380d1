"""What the log says, so that programs can read it.

Everything goes to the logger ``nudge_sdk`` of the standard library. Each record carries, beside its sentence, a code in
``nudge_event`` and what belongs to it in further attributes, all beginning with ``nudge_``, as formatters that write
JSON pass them on. None holds a password, a trait or a property. A code, once given, keeps its meaning.

=====================  =======  ================================================  ==================================
``nudge_event``        level    when                                              further attributes
=====================  =======  ================================================  ==================================
call_failed            error    a call was answered neutrally; once a cause       nudge_call, nudge_cause
page_failed            error    so was something on a page; once a cause          nudge_call, nudge_cause
report_failed          error    a report of the admin failed as nobody foresaw    nudge_cause
definition_unreadable  error    this release cannot read what is published        nudge_definition, nudge_in_force
journal_unreadable     error    a journal may not be opened, and waits; once      nudge_path
drain_crashed          error    draining failed in a way nobody foresaw           nudge_cause
drain_failed           warning  the store is away or busy; first, then each 100th nudge_cause, nudge_failures
batch_refused          warning  a batch has a line that cannot be stored          nudge_journal, nudge_lines
line_set_aside         warning  such a line was found and put into quarantine     nudge_journal, nudge_offset
events_too_old         warning  too old events came, refused; once a process      nudge_from
line_unfinished        warning  a process died while it wrote its last line       nudge_journal
journal_not_erased     warning  a journal keeps what it holds of one forgotten    nudge_path
refresh_failed         warning  what the reports read is not up to date           nudge_cause
reports_failed         warning  reports could not be made beforehand              nudge_cause
close_incomplete       warning  not all was drained when the client was closed    nudge_cause
store_late             info     what should commit at once goes by the journal    nudge_kind, nudge_cause
reports_prepared       info     reports are made, imported history is replayed    nudge_seconds
reports_not_prepared   info     a package is missing to make them; once
store_busy             debug    a flush waits for others that write
lease_left             debug    a lease could not be given back
=====================  =======  ================================================  ==================================
"""
