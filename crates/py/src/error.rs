//! The one map from errors of the core to Python.

use pyo3::exceptions::PyException;

pyo3::create_exception!(
    veritune._core,
    CoreError,
    PyException,
    "What every function of the core raises, with `args = (code, message, location, exit)`.\n\n\
     `code` names the check, `location` says where it failed, `exit` is the exit code that a command ends with:\n\
     1 refuted, 2 unreadable input, 3 inconclusive, 4 our own bug."
);
