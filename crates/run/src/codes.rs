//! Codes of the commands that make a plan, train and prove. `docs/guide/errors.md` lists them.

use veritune_envelope::codes;

codes! {
    SETTINGS = "VT-JOB-001", Unusable, "recipe, calibration or spec do not parse, or contradict each other";
    SPEC = "VT-JOB-002", Unusable, "a field of the spec is outside its published range";
    PROGRAM = "VT-JOB-003", Unusable, "no program can be built from the spec: its widths admit a wrap";
    OVERFLOW = "VT-JOB-004", Unusable, "a value left the range that the plan fixed for it";
    STATEMENT = "VT-JOB-005", Unusable, "no statement can be formed: the run is too large for one commitment";
    COMMITMENT = "VT-JOB-006", Internal, "a tree cannot be made or opened, or our own proof does not verify";
    ROWS = "VT-JOB-007", Unusable, "the rows are not those of the plan, or hold an id outside the vocabulary";
    FILE = "VT-JOB-008", Unusable, "a file of the run or of the base is missing, damaged or not the planned one";
    STOPPED = "VT-JOB-009", Inconclusive, "the caller asked to stop; the run can be continued";
    CALL = "VT-JOB-010", Internal, "Python and the core disagree about a call";
    PANIC = "VT-JOB-011", Internal, "the core stopped at a bug";
    THREADS = "VT-JOB-012", Unusable, "the threads cannot be started";
    NO_SPACE = "VT-JOB-013", Unusable, "no space is left for a file of the run";
    BUDGET_SPENT = "VT-JOB-014", Inconclusive, "a commitment was opened as often as it may be";
    EXECUTION = "VT-JOB-015", Internal, "a program cannot be executed";
    UNFINISHED = "VT-JOB-016", Inconclusive, "the run is not trained to its last step";
    BASE_WIDTH = "VT-JOB-017", Refuted, "an integer of the base lies outside the width that the spec declares for it";
    BUSY = "VT-JOB-018", Unusable, "another process works in the run folder";
}
