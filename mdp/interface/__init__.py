"""Files, configs, progress, tables, command lines and compiled programs, for all.

    configs.py       checks of a config's numbers; floats that jax can vary in a sweep
    files.py         tables, JSON and pictures, written whole or not at all
    stopping.py      Ctrl-C and other signals cost one line, whatever the program does
    keeping.py       values and loops that are kept while a long command is at work
    runs.py          the folder of a long command, which goes on where it was stopped
    help.py          help with the common flags first, the others by group
    command_line.py  commands out of dataclasses; a mistake costs one line
    compilation.py   compiling by jax: programs are kept, and its time is told
    progress.py      progress bars, and the seconds that each stage took
    jobs.py          many independent jobs, in any executor, kept one by one
    workers.py       executors: processes of this machine, and a Dask cluster
    processes.py     several processes that train one model together
    tables.py        tables whose columns come with their meaning

Nothing here knows an algorithm. Import each file by its name: this package itself
imports none of them, because some need jax or rich.
"""
