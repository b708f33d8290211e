"""Why a device cannot work, and what a person should do about it. Rule: every reason id in this package is a key here.

The sentences are for whoever stands at the counter; English and Chinese say the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """One sentence in each language."""

    en: str
    zh: str


REMEDIES: dict[str, Remedy] = {
    # The line to a device
    "unreachable": Remedy(
        "Nothing answers at the device's address; check power, cable and address.",
        "设备无响应，请检查电源、连线和地址。",
    ),
    "lost": Remedy(
        "The connection to the device broke; check power and cable.", "与设备的连接中断，请检查电源和连线。"
    ),
    "stalled": Remedy(
        "The device stopped taking data; switch it off and on again.", "设备停止接收数据，请关闭后重新打开。"
    ),
    "busy": Remedy("Another program is using the device; close that program.", "设备被其他程序占用，请关闭该程序。"),
    "disk_full": Remedy("The disk that keeps the slips is full; make room on it.", "保存小票的磁盘已满，请清理空间。"),
    "denied": Remedy(
        "This user may not open the device; the installer must add the udev rule or group.",
        "没有打开设备的权限，请联系安装人员配置 udev 规则或用户组。",
    ),
    "not_plugged_in": Remedy(
        "No such device is plugged in; check its cable, or look with `counterfoil devices list`.",
        "未找到该设备，请检查连线，或运行 counterfoil devices list 查看。",
    ),
    "driver_fault": Remedy(
        "This program failed at the device and tries again by itself; if it goes on, call service.",
        "程序处理该设备时出错，正在自动重试；如反复出现请联系维修。",
    ),
    "misconfigured": Remedy(
        "The device's section in the configuration cannot be used; correct it and restart the agent.",
        "该设备的配置有误，请修改配置后重启程序。",
    ),
    "usb_missing": Remedy(
        "This computer has no /dev/usb/lp for the printer, and libusb is not installed; the installer must add"
        " counterfoil[usb] and the package libusb-1.0-0, or load the kernel module usblp.",
        "本机没有该打印机的 /dev/usb/lp，也未安装 libusb；请联系安装人员安装 counterfoil[usb] 和 libusb-1.0-0，"
        "或加载内核模块 usblp。",
    ),
    "not_a_printer": Remedy(
        "The USB device of these ids is no printer; look with `counterfoil devices list`.",
        "该 USB 设备不是打印机，请运行 counterfoil devices list 查看。",
    ),
    # Printers
    "silent": Remedy(
        "The printer is connected but does not answer; switch it on, wait if another till is using it,"
        " or set a profile ending in -mute if it never can.",
        "打印机已连接但不应答，请打开电源；如其他收银台正在使用，请稍候；"
        "如该型号不支持应答，请改用以 -mute 结尾的型号配置。",
    ),
    "garbled": Remedy(
        "What answers is no receipt printer, or the line's speed is wrong; check the address and the serial speed.",
        "应答的设备不是小票打印机，或串口速率有误，请检查地址和串口速率。",
    ),
    "paper_out": Remedy("Put in a new paper roll.", "请更换纸卷。"),
    "paper_near_end": Remedy("The paper roll is nearly used up; have a new one ready.", "纸卷即将用完，请准备新纸卷。"),
    "cover_open": Remedy("Close the printer's cover.", "请合上打印机盖。"),
    "cutter_error": Remedy(
        "The cutter is stuck; switch the printer off, remove the paper jam, switch it on.",
        "切刀卡住，请关闭打印机，清除卡纸后重新打开。",
    ),
    "overheated": Remedy("The print head is too hot; wait a minute.", "打印头过热，请等待一分钟。"),
    "printer_error": Remedy(
        "The printer reports an error; switch it off and on again, and call service if it stays.",
        "打印机报告错误，请关闭后重新打开；如仍报错请联系维修。",
    ),
    "offline": Remedy(
        "The printer is off line; press its feed or on-line button.", "打印机处于脱机状态，请按走纸键或联机键。"
    ),
    "unprintable": Remedy(
        "This printer has no Chinese characters and no font is here to draw them; install fonts-wqy-microhei.",
        "该打印机没有中文字库，本机也没有可用字体，请安装 fonts-wqy-microhei。",
    ),
    "no_return_channel": Remedy(
        "This printer cannot report; look whether the slip came out.", "该打印机无法回报状态，请确认小票已打出。"
    ),
    "not_confirmed": Remedy(
        "The printer did not confirm the slip; look whether it came out.", "打印机未确认，请查看小票是否已打出。"
    ),
    # Cash drawers
    "drawer_stuck": Remedy(
        "The drawer did not open; see whether it is locked, and its cable in the printer's drawer socket.",
        "钱箱未弹开，请检查是否上锁，以及连线是否插在打印机的钱箱口。",
    ),
    "drawer_not_sensed": Remedy(
        "The drawer cannot say whether it opened; look at it.", "钱箱无法回报状态，请查看是否已弹开。"
    ),
    "drawer_open": Remedy("Close the cash drawer.", "请关上钱箱。"),
    # Line displays
    "not_displayable": Remedy(
        "The customer display has no characters for this text; set its character_set to what the model has.",
        "顾客显示屏没有所需字符，请将 character_set 设为该型号支持的字符集。",
    ),
    # Scanners
    "overlong": Remedy(
        "A code was too long or the scanner sends noise; scan again, then check its suffix setting.",
        "条码过长或扫描枪发送杂码，请重新扫描；如仍出现请检查后缀设置。",
    ),
    "unterminated": Remedy(
        "A code arrived without its end; scan again, then check the scanner's suffix setting.",
        "条码不完整，请重新扫描；如仍出现请检查扫描枪后缀设置。",
    ),
    "keys_lost": Remedy(
        "The scanner typed faster than this computer listened; scan again.",
        "扫描枪输入过快，部分按键丢失，请重新扫描。",
    ),
    "too_old": Remedy(
        "A code was scanned while nothing could take it and is forgotten; scan it again.",
        "系统忙时扫描的条码已作废，请重新扫描。",
    ),
    "not_hidpos": Remedy(
        "The device is no scanner in HID-POS mode; scan its setting code for it, or use its keyboard or serial mode.",
        "该设备未处于 HID-POS 模式，请扫描相应设置码，或改用键盘或串口模式。",
    ),
    "not_scanned": Remedy(
        "No code came; is the scanner's light on? Try again.", "未收到条码，请确认扫描枪已亮灯并重试。"
    ),
    # Cameras
    "camera_missing": Remedy(
        "The camera's software is not installed; the installer must add counterfoil[camera] and the package libzbar0.",
        "未安装摄像头软件，请联系安装人员安装 counterfoil[camera] 和 libzbar0 软件包。",
    ),
    "camera_no_picture": Remedy(
        "The camera gives no picture; close programs that use it, then unplug it and plug it in again.",
        "摄像头没有图像，请关闭占用它的程序，然后重新插拔。",
    ),
    "camera_crashed": Remedy(
        "The camera's reader stopped and starts again by itself; if it goes on, unplug the camera and call service.",
        "摄像头识别程序意外停止，正在自动重启；如反复出现，请拔下摄像头并联系维修。",
    ),
}

_DOUBT = Remedy(
    "Look whether the whole slip came out before you print again.", "再次打印前，请先查看小票是否已完整打出。"
)


def remedy_for(reason: str, language: str = "en", *, doubtful: bool = False) -> str:
    """The sentence for a reason id ("" for no reason), in "zh…" or else English.

    With `doubtful`, it adds that the slip may be out already. Raises KeyError for an id that the table lacks.
    """
    if not reason:
        return ""
    parts = [REMEDIES[reason], *([_DOUBT] if doubtful else [])]
    return "".join(part.zh for part in parts) if language.startswith("zh") else " ".join(part.en for part in parts)
