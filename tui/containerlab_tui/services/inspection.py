"""What a container keeps in memory and shares, with names, owners and survival worked out.

Used by the screens and the commands alike.
"""

from containerlab_tui.core.views import FileRow as FileRow
from containerlab_tui.core.views import FilesView as FilesView
from containerlab_tui.core.views import IpcRow as IpcRow
from containerlab_tui.core.views import IpcView as IpcView
